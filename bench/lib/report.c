#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "samples.h"
#include "session.h"
#include "stats.h"
#include "units.h"

static void print_csv(const struct session *session, const struct series *series, size_t count,
                      struct placement_verdict placement) {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    samples_write_header(stdout);
    for (size_t i = 0; i < count; i++) {
        const char *metric = series[i].metric, *unit = series[i].unit;
        for (size_t sample = 0; sample < series[i].count; sample++) {
            struct samples_row row = {
                .host = host,
                .bench = session->program->name,
                .metric = metric != NULL ? metric : session->program->metric,
                .unit = unit != NULL ? unit : session->program->unit,
                .variant = series[i].variant,
                .cpu = session->cpus[0],
                .cpu_node = session->cpu_node,
                .mem_node = session->source.node,
                .allocator = session->source.allocator,
                .policy = session->source.policy,
                .pages = session->source.pages,
                .threads = (unsigned)session->threads.value,
                .size_bytes = session->size.value,
                .value = series[i].values[sample],
                .placement = placement,
                .started_at = series[i].started_at[sample],
            };
            samples_write_row(stdout, &row);
        }
    }
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
        printf(" (%.2f %% of pages)", 100 * placement.fraction);
    printf("\n");
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

static void print_rows(const struct series *series, size_t count, const char *unit) {
    printf("%-8s %10s %23s %10s %10s %8s\n", unit, "median", "95 % interval", "minimum", "maximum",
           "samples");
    for (size_t i = 0; i < count; i++) {
        struct stats_summary summary = stats_summarise(series[i].sorted, series[i].count);
        char interval[SESSION_INTERVAL_TEXT], text[3][UNITS_FIGURE_TEXT];
        printf("%-8s %10s %23s %10s %10s %8zu\n", series[i].variant,
               units_format_figure(summary.median, text[0]), session_interval(&summary, interval),
               units_format_figure(summary.minimum, text[1]),
               units_format_figure(series[i].sorted[series[i].count - 1], text[2]),
               summary.samples);
    }
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
    printf("%s bytes\n", units_format_size(session->size.value, size));
    print_placement(session, placement);
    if (session->program->print_rows != NULL)
        session->program->print_rows(session, series, count);
    else
        print_rows(series, count, session->program->unit);
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
    double most = SERIES_SPREAD;
    for (size_t i = 0; i < count; i++) {
        struct stats_summary summary = stats_summarise(series[i].sorted, series[i].count);
        if (!summary.has_interval || stats_spread(&summary) <= SERIES_SPREAD)
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
    warn_of_noise(session, series, count);
}

int session_report(const struct session *session, const struct series *series, size_t count,
                   struct placement_verdict placement) {
    if (session->csv.given)
        print_csv(session, series, count, placement);
    else
        print_table(session, series, count, placement);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        session_say(session, "cannot write the results: %s", strerror(errno));
        return SESSION_NOT_MEASURED;
    }
    warn(session, series, count, placement);
    return SESSION_MEASURED;
}
