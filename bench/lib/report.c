#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "samples.h"
#include "session.h"
#include "stats.h"
#include "units.h"

static bool is_noisy(const struct session *session, const struct stats_summary *summary) {
    return summary->has_interval && stats_spread(summary) > session->precision.fraction;
}

bool session_knows_well(const struct session *session, const struct series *series) {
    struct stats_summary summary = series_summary(series);
    return summary.has_interval && !is_noisy(session, &summary) &&
           strcmp(series_stopped_by(series, 0), "disturbed") != 0;
}

/* What a reader has to know of all samples of a series, the worst first. */
static const char *series_status(const struct session *session, const struct series *series,
                                 const struct stats_summary *summary,
                                 struct placement_verdict placement, const char **reason) {
    *reason = "";
    if (placement.status == PLACEMENT_FAILED) {
        *reason = "pages are not on the node asked for";
        return "misplaced";
    }
    const char *cached = series->cached != NULL ? series->cached : session->cached;
    if (cached[0] != '\0') {
        *reason = cached;
        return "cached";
    }
    if (series->doubtful)
        *reason = "figures that it follows from are noisy";
    else if (is_noisy(session, summary))
        *reason = "the interval is wider than asked for";
    else if (strcmp(series_stopped_by(series, 0), "disturbed") == 0)
        *reason = "too few undisturbed samples: marked ones count";
    else if (!series->derived && !summary->has_interval)
        *reason = "fewer than 6 samples have no interval";
    return **reason != '\0' ? "noisy" : "ok";
}

static struct placement_verdict placement_of(const struct series *series,
                                             struct placement_verdict placement) {
    return series->placement != NULL ? *series->placement : placement;
}

static struct samples_row common_row(const struct session *session, const char *host) {
    const struct series_other none = SERIES_NO_OTHER;
    return (struct samples_row){
        .host = host,
        .bench = session->program->name,
        .metric = session->program->metric,
        .unit = session->program->unit,
        .cpu = session->cpus[0],
        .cpu_node = session->cpu_node,
        .mem_node = session->source.node,
        .allocator = session->source.allocator,
        .policy = session->source.policy,
        .pages = session->source.pages,
        .threads = (unsigned)session->threads.value,
        .size_bytes = session->size.value,
        .other_cpu = none.cpu,
        .other_cpu_node = none.cpu_node,
        .other_mem_node = none.mem_node,
        .pages_on_nodes = session->pages_on_nodes,
        .proof = session->proof,
    };
}

/* What is the series' own in place of the session's. */
static void set_labels(struct samples_row *row, const struct series *series) {
    row->variant = series->variant;
    row->isa = series->isa;
    if (series->metric != NULL)
        row->metric = series->metric;
    if (series->unit != NULL)
        row->unit = series->unit;
    if (series->cpu != NULL) {
        row->cpu = *series->cpu;
        row->cpu_node = series->cpu_node;
    }
    if (series->mem_node != NULL)
        row->mem_node = *series->mem_node;
    if (series->other != NULL) {
        row->other_cpu = series->other->cpu;
        row->other_cpu_node = series->other->cpu_node;
        row->other_mem_node = series->other->mem_node;
    }
    if (series->threads != 0)
        row->threads = series->threads;
    if (series->size_bytes != 0)
        row->size_bytes = series->size_bytes;
    if (series->allocator != NULL)
        row->allocator = series->allocator;
    if (series->policy != NULL)
        row->policy = series->policy;
    if (series->pages != NULL)
        row->pages = series->pages;
    if (series->pages_on_nodes != NULL)
        row->pages_on_nodes = series->pages_on_nodes;
    if (series->proof != NULL)
        row->proof = series->proof;
}

static void print_series(const struct session *session, const struct series *series,
                         struct samples_row row, struct placement_verdict placement) {
    char proof[SESSION_PROOF_TEXT + SESSION_PAGES_TEXT];
    set_labels(&row, series);
    if (session->huge_pages[0] != '\0' && series->pages == NULL) {
        snprintf(proof, sizeof proof, "%s%s%s", row.proof, *row.proof != '\0' ? "; " : "",
                 session->huge_pages);
        row.proof = proof;
    }
    row.placement = placement_of(series, placement);
    if (series->failed != NULL) {
        row.started_at = time(NULL);
        row.status = "failed";
        row.reason = series->failed;
        samples_write_row(stdout, &row);
        return;
    }
    struct stats_summary summary = series_summary(series);
    row.status = series_status(session, series, &summary, row.placement, &row.reason);
    row.stopped_by = series_stopped_by(series, session->precision.fraction);
    if (summary.has_interval) {
        row.ci_low = summary.ci_low;
        row.ci_high = summary.ci_high;
        row.spread = stats_spread(&summary);
    }
    for (size_t i = 0; i < series->count; i++) {
        const struct sample *sample = &series->taken[i];
        row.value = sample->value;
        row.write_allocate = sample->value * series->write_allocate;
        row.at_controller = sample->at_controller;
        row.started_at = sample->started_at;
        row.disturbed = disturbance_name(sample->disturbed);
        samples_write_row(stdout, &row);
    }
}

static void print_csv(const struct session *session, const struct series *series, size_t count,
                      struct placement_verdict placement) {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    samples_write_header(stdout);
    for (size_t i = 0; i < count; i++)
        print_series(session, &series[i], common_row(session, host), placement);
}

int session_fail(const struct session *session, const char *variant, const char *format, ...) {
    char reason[512], host[256] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    session_say(session, "%s", reason);
    if (session->csv.given) {
        gethostname(host, sizeof host - 1);
        struct samples_row row = common_row(session, host);
        row.variant = variant;
        row.placement.status = PLACEMENT_UNVERIFIED;
        row.started_at = time(NULL);
        row.status = "failed";
        row.reason = reason;
        samples_write_header(stdout);
        samples_write_row(stdout, &row);
        fflush(stdout);
    }
    return SESSION_NOT_MEASURED;
}

/* Room for what expected_place writes; a longer list of nodes is cut. */
#define PLACE_TEXT 128

/* "node 1", "nodes 0,2-3", or what else the pages are expected on. */
static const char *expected_place(const struct session *session, char text[PLACE_TEXT]) {
    const struct placement_expected *expected = &session->source.expected;
    if (session->source.first_touch && session->program->threaded && session->threads.value > 1)
        return "each thread's node";
    if (placement_expected_nodes(expected) == 0)
        return "several nodes";
    if (session->source.node >= 0) {
        snprintf(text, PLACE_TEXT, "node %d", session->source.node);
        return text;
    }
    size_t length = (size_t)snprintf(text, PLACE_TEXT, "nodes ");
    for (int node = 0; node < PLACEMENT_NODES && length < PLACE_TEXT; node++) {
        int last = node;
        if (expected->weights[node] == 0)
            continue;
        while (last + 1 < PLACEMENT_NODES && expected->weights[last + 1] != 0)
            last++;
        const char *separator = text[length - 1] == ' ' ? "" : ",";
        length += (size_t)snprintf(text + length, PLACE_TEXT - length, "%s%d", separator, node);
        if (last > node && length < PLACE_TEXT)
            length += (size_t)snprintf(text + length, PLACE_TEXT - length, "-%d", last);
        node = last;
    }
    return text;
}

static void print_placement(const struct session *session, struct placement_verdict placement) {
    const struct memory_source *source = &session->source;
    char place[PLACE_TEXT];
    printf("memory: %s, policy %s, pages %s; expected on %s: %s", source->allocator, source->policy,
           source->pages, expected_place(session, place), placement_status_name(placement.status));
    if (placement.status != PLACEMENT_UNVERIFIED)
        printf(" (%.2f %% of pages; %s)", 100 * placement.fraction, session->pages_on_nodes);
    printf("\n");
    if (session->huge_pages[0] != '\0')
        printf("pages: %s\n", session->huge_pages);
    if (session->proof[0] != '\0')
        printf("proof: %s\n", session->proof);
}

const char *session_interval(const struct stats_summary *summary,
                             char text[SESSION_INTERVAL_TEXT]) {
    char low[UNITS_FIGURE_TEXT], high[UNITS_FIGURE_TEXT];
    snprintf(text, SESSION_INTERVAL_TEXT, "(below 6 samples)");
    if (summary->has_interval)
        snprintf(text, SESSION_INTERVAL_TEXT, "%s to %s", units_format_figure(summary->ci_low, low),
                 units_format_figure(summary->ci_high, high));
    return text;
}

/* How many of the samples count, and how many are marked beside them: "18", "18 of 21". */
static const char *samples_text(const struct series *series, char text[SESSION_INTERVAL_TEXT]) {
    snprintf(text, SESSION_INTERVAL_TEXT, "%zu", series->undisturbed);
    if (series->undisturbed < series->count)
        snprintf(text, SESSION_INTERVAL_TEXT, "%zu of %zu", series->undisturbed, series->count);
    return text;
}

/* Room for what row_label writes; a longer one is cut. */
#define LABEL_TEXT 64

/* The variant, with the pages where they are the series' own. */
static const char *row_label(const struct series *series, char text[LABEL_TEXT]) {
    snprintf(text, LABEL_TEXT, "%s%s%s", series->variant, series->pages != NULL ? ", " : "",
             series->pages != NULL ? series->pages : "");
    return text;
}

static void print_row(const struct series *series, int width) {
    char label[LABEL_TEXT], interval[SESSION_INTERVAL_TEXT], samples[SESSION_INTERVAL_TEXT];
    char text[3][UNITS_FIGURE_TEXT];
    if (series->failed != NULL) {
        printf("%-*s failed: %s\n", width, row_label(series, label), series->failed);
        return;
    }
    struct stats_summary summary = series_summary(series);
    printf("%-*s %10s %21s %10s %10s %9s\n", width, row_label(series, label),
           units_format_figure(summary.median, text[0]), session_interval(&summary, interval),
           units_format_figure(summary.minimum, text[1]),
           units_format_figure(series->sorted[series->undisturbed - 1], text[2]),
           samples_text(series, samples));
}

void session_print_rows(const struct session *session, const struct series *series, size_t count) {
    const char *unit = session->program->unit;
    char label[LABEL_TEXT];
    int width = (int)strlen(unit);
    for (size_t i = 0; i < count; i++) {
        int length = (int)strlen(row_label(&series[i], label));
        width = length > width ? length : width;
    }
    printf("%-*s %10s %21s %10s %10s %9s\n", width, unit, "median", "95 % interval", "minimum",
           "maximum", "samples");
    for (size_t i = 0; i < count; i++)
        print_row(&series[i], width);
}

static void print_table(const struct session *session, const struct series *series, size_t count,
                        struct placement_verdict placement) {
    char size[UNITS_SIZE_TEXT];
    printf("%s from CPU %u (node %d), ", session->program->metric, session->cpus[0],
           session->cpu_node);
    if (session->program->threaded)
        printf("%" PRIu64 " thread%s, ", session->threads.value,
               session->threads.value == 1 ? "" : "s");
    if (session->program->arrays > 1)
        printf("%u arrays of ", session->program->arrays);
    if (session->program->sizeless)
        printf("%" PRIu64 " ms a sample\n", session->min_sample_ms.value);
    else
        printf("%s bytes\n", units_format_size(session->size.value, size));
    print_placement(session, placement);
    if (session->program->print_rows != NULL)
        session->program->print_rows(session, series, count);
    else
        session_print_rows(session, series, count);
}

/* Room for what series_name writes; a longer name is cut. */
#define SERIES_TEXT 64

/* The variant, after its metric where the series have several. */
static const char *series_name(const struct session *session, const struct series *series,
                               size_t count, size_t which, char text[SERIES_TEXT]) {
    bool several = false;
    for (size_t i = 0; i < count; i++)
        several = several || series[i].metric != NULL;
    if (!several)
        return series[which].variant;
    const char *metric = series[which].metric;
    snprintf(text, SERIES_TEXT, "%s at %s", metric != NULL ? metric : session->program->metric,
             series[which].variant);
    return text;
}

/* One line, however many of the medians are known badly. */
static void warn_of_noise(const struct session *session, const struct series *series,
                          size_t count) {
    size_t noisy = 0, worst = 0;
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        if (series[i].failed != NULL)
            continue;
        struct stats_summary summary = series_summary(&series[i]);
        if (!is_noisy(session, &summary))
            continue;
        noisy++;
        if (stats_spread(&summary) > most) {
            most = stats_spread(&summary);
            worst = i;
        }
    }
    if (noisy == 0)
        return;
    char text[SERIES_TEXT];
    const char *name = series_name(session, series, count, worst, text);
    if (noisy == 1)
        session_say(session, "warning: %s is noisy: its median is known within %.1f %% only", name,
                    100 * most);
    else
        session_say(session,
                    "warning: %zu of %zu figures are noisy: the median of the worst (%s) is known "
                    "within %.1f %% only",
                    noisy, count, name, 100 * most);
}

/* One line, of the worst thing that happened. */
static void warn_of_disturbance(const struct session *session, const struct series *series,
                                size_t count) {
    size_t samples = 0, marked = 0;
    bool counted = false;
    enum disturbance worst = UNDISTURBED;
    for (size_t i = 0; i < count; i++) {
        if (series[i].failed != NULL)
            continue;
        counted = counted || strcmp(series_stopped_by(&series[i], 0), "disturbed") == 0;
        samples += series[i].count;
        for (size_t k = 0; k < series[i].count; k++) {
            marked += series[i].taken[k].disturbed != UNDISTURBED;
            if (series[i].taken[k].disturbed > worst)
                worst = series[i].taken[k].disturbed;
        }
    }
    static const char *const meanings[] = {
        [UNDISTURBED] = "",
        [DISTURBED_FAULTED] = "page faults",
        [DISTURBED_PREEMPTED] = "another program took the CPU",
        [DISTURBED_MOVED] = "a thread was taken off its CPU",
        [DISTURBED_CLOCK] = "a clock was set or is not even",
    };
    if (counted)
        session_say(session,
                    "warning: %zu of %zu samples were disturbed (the worst: %s), so many that they "
                    "count",
                    marked, samples, meanings[worst]);
    else if (worst >= DISTURBED_MOVED)
        session_say(session,
                    "warning: %zu of %zu samples are left out as disturbed (the worst: %s)", marked,
                    samples, meanings[worst]);
}

static void warn(const struct session *session, const struct series *series, size_t count,
                 struct placement_verdict placement) {
    char place[PLACE_TEXT];
    if (placement.status == PLACEMENT_FAILED)
        session_say(
            session, "warning: only %.2f %% of pages are on %s%s: this is not the figure asked for",
            100 * placement.fraction, expected_place(session, place),
            session->source.node < 0 && session->source.expected.shares ? ", each in its share"
                                                                        : "");
    if (placement.status == PLACEMENT_UNVERIFIED && placement.error != 0)
        session_say(session, "warning: the kernel would not say where the pages are: %s",
                    strerror(placement.error));
    if (session->cached[0] != '\0')
        session_say(session, "note: %s", session->cached);
    warn_of_noise(session, series, count);
    warn_of_disturbance(session, series, count);
}

int session_report(const struct session *session, struct series *series, size_t count,
                   struct placement_verdict placement) {
    for (size_t i = 0; i < count; i++)
        series_settle(&series[i]);
    if (session->csv.given)
        print_csv(session, series, count, placement);
    else if (session->program->print_table != NULL)
        session->program->print_table(session, series, count);
    else
        print_table(session, series, count, placement);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        session_say(session, "cannot write the results: %s", strerror(errno));
        return SESSION_NOT_MEASURED;
    }
    warn(session, series, count, placement);
    return SESSION_MEASURED;
}
