/* Bandwidth of memory: a table of kernels, in any instruction set, on one thread or more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller.h"
#include "kernel_team.h"
#include "kernels.h"
#include "saturation.h"
#include "session.h"
#include "units.h"
#include "warmup.h"

#define ABOUT_TEXT  4096
#define HELP_TEXT   640
#define FIGURES_MAX (KERNELS * KERNEL_ISAS)
#define STAGES_MAX  128 /* numbers of threads: powers of two, and between them for each figure */

static struct { struct option_value kernels, isa; } options;

static char about[ABOUT_TEXT], kernels_help[HELP_TEXT], isa_help[HELP_TEXT];

static const struct option_row own_options[] = {
    {"kernels", "LIST", kernels_help, OPTION_TEXT, 0, 0, &options.kernels},
    {"isa", "LIST", isa_help, OPTION_TEXT, 0, 0, &options.isa},
};

static void print_rows(const struct session *session, const struct series *series, size_t count);

static const struct session_program bandwidth = {
    .name = "bandwidth",
    .metric = "bandwidth",
    .unit = "GB/s",
    .about = about,
    .size_help =
        "bytes of each of the three arrays (default: 64M, or 4 x all last-level caches if\n"
        "larger)",
    .size_min_bytes = 64 << 10,
    .size_max_bytes = (uint64_t)4 << 40,
    .size_default_bytes = (uint64_t)64 << 20,
    .arrays = KERNEL_ARRAYS,
    .threaded = true,
    .threads_auto = true,
    .own_options = own_options,
    .own_option_count = sizeof own_options / sizeof own_options[0],
    .print_rows = print_rows,
};

/* Measured when --kernels is not given. */
static const bool by_default[KERNELS] = {
    [KERNEL_READ] = true,  [KERNEL_WRITE] = true, [KERNEL_COPY] = true,
    [KERNEL_SCALE] = true, [KERNEL_ADD] = true,   [KERNEL_TRIAD] = true,
};

/* A kernel in an instruction set. */
struct figure {
    enum kernel_id id;
    kernel_run *run;
    const char *isa;
};

struct plan {
    struct figure figures[FIGURES_MAX];
    size_t count;
    uint64_t size_bytes;
    struct controller controller;
    bool counted; /* by the controllers */
};

/* All figures with one number of threads. */
struct stage {
    unsigned threads;
    struct placement_verdict placement;
    char pages_on_nodes[SESSION_PROOF_TEXT];
    struct series series[FIGURES_MAX];
    uint64_t passes[FIGURES_MAX]; /* of a sample */
};

/* --help's table of kernels, and its lists of names, from the tables themselves. */
static void write_help(void) {
    FILE *out = fmemopen(about, sizeof about, "w");
    if (out == NULL)
        return;
    fputs("Bandwidth in GB/s (1 GB = 1e9 bytes) of loops over three arrays a, b, c of doubles, in\n"
          "lines of 64 bytes. The kernels, and the bytes of a step:\n"
          "  name          what it does                       read  written  write-allocate\n",
          out);
    for (enum kernel_id id = 0; id < KERNELS; id++)
        fprintf(out, "  %-13s %-34s %4u  %7u  %14u\n", kernels[id].name, kernels[id].formula,
                kernels[id].bytes_read, kernels[id].bytes_written, kernels[id].bytes_allocated);
    fputs(
        "-nt: non-temporal stores; -string: the processor's own instruction to fill or copy a\n"
        "block. Counted: the bytes the loop itself reads and writes, as in STREAM. A second figure\n"
        "adds write-allocate, lines that ordinary stores bring into the cache first (a model:\n"
        "processors that see whole lines written fetch fewer), and a third is what the memory\n"
        "controllers counted, of all programs, where Linux lets their counters be read.\n"
        "Each thread touches its own slice first, after malloc's policy has had its say. Threads\n"
        "start together; the time is from the first start to the last end. Every element of every\n"
        "result is checked before and after timing. CPUs and memory are chosen apart: taskset -c\n"
        "LIST for the threads; --node or the allocator's policy for the arrays.\n",
        out);
    fclose(out);
    snprintf(kernels_help, sizeof kernels_help,
             "names of the table above, such as read,triad-nt, or all\n"
             "(default: read,write,copy,scale,add,triad)");
    size_t length = (size_t)snprintf(isa_help, sizeof isa_help,
                                     "instruction sets of the loops, or all; this processor has:");
    for (enum kernel_isa isa = 0; isa < KERNEL_ISA_STRING; isa++)
        if (kernel_set(isa) != NULL)
            length += (size_t)snprintf(isa_help + length, sizeof isa_help - length, " %s",
                                       kernel_isa_name(isa));
    snprintf(isa_help + length, sizeof isa_help - length, "\n(default: %s, the widest)",
             kernel_isa_name(kernel_widest_isa()));
}

static bool is_word(const char *word, size_t length, const char *name) {
    return strlen(name) == length && strncmp(word, name, length) == 0;
}

/* Sets wanted[i] for each name in a list with commas; "all" is every one that has_one[i]. Returns
 * NULL, or the first word that is no such name. */
static const char *choose(const char *list, const char *(*name_of)(size_t), size_t count,
                          const bool *has_one, bool *wanted) {
    for (const char *word = list;; word++) {
        size_t length = strcspn(word, ",");
        bool found = false;
        for (size_t i = 0; i < count; i++)
            if (has_one[i] && (is_word(word, length, "all") || is_word(word, length, name_of(i))))
                found = wanted[i] = true;
        if (!found)
            return word;
        word += length;
        if (*word == '\0')
            return NULL;
    }
}

static const char *kernel_name(size_t id) {
    return kernels[id].name;
}

static const char *isa_name(size_t isa) {
    return kernel_isa_name((enum kernel_isa)isa);
}

static void add_figure(struct plan *plan, enum kernel_id id, enum kernel_isa isa) {
    const struct kernel_set *set = kernel_set(isa);
    if (set != NULL && set->run[id] != NULL)
        plan->figures[plan->count++] = (struct figure){id, set->run[id], set->name};
}

/* Which kernels in which instruction sets; false after saying what is wrong with the options. */
static bool make_plan(struct plan *plan, const struct session *session) {
    bool every_kernel[KERNELS], wanted[KERNELS] = {false};
    bool available[KERNEL_ISAS] = {false}, wanted_isa[KERNEL_ISAS] = {false};
    const char *bad = NULL;
    *plan = (struct plan){.size_bytes = session->size.value};
    for (size_t id = 0; id < KERNELS; id++)
        every_kernel[id] = true;
    for (enum kernel_isa isa = 0; isa < KERNEL_ISA_STRING; isa++)
        available[isa] = kernel_set(isa) != NULL;
    if (!options.kernels.given)
        memcpy(wanted, by_default, sizeof wanted);
    else
        bad = choose(options.kernels.text, kernel_name, KERNELS, every_kernel, wanted);
    if (bad != NULL) {
        session_say(session, "--kernels: '%.*s' is no kernel; --help lists them",
                    (int)strcspn(bad, ","), bad);
        return false;
    }
    if (!options.isa.given)
        wanted_isa[kernel_widest_isa()] = true;
    else
        bad = choose(options.isa.text, isa_name, KERNEL_ISA_STRING, available, wanted_isa);
    if (bad != NULL) {
        session_say(session,
                    "--isa: '%.*s' is no instruction set that this processor has; --help "
                    "lists them",
                    (int)strcspn(bad, ","), bad);
        return false;
    }
    for (enum kernel_id id = 0; id < KERNELS; id++) {
        for (enum kernel_isa isa = 0; isa < KERNEL_ISA_STRING && wanted[id]; isa++)
            if (wanted_isa[isa])
                add_figure(plan, id, isa);
        if (wanted[id])
            add_figure(plan, id, KERNEL_ISA_STRING);
    }
    if (plan->count == 0)
        session_say(session, "--kernels: '%.60s' are not kernels of this kind of processor",
                    options.kernels.text);
    return plan->count > 0;
}

/* What of a pass of a figure is its value: B/ns are GB/s. */
static double rate(const struct kernel_traffic *traffic, uint64_t passes, uint64_t elapsed_ns) {
    return (double)(traffic->read + traffic->written) * (double)passes / (double)elapsed_ns;
}

/* Runs `*passes` passes, and more of them when those took less than they must: the first count
 * comes from one pass, which is cold and may have been interrupted. */
static struct kernel_time run_for(struct kernel_team *team, const struct figure *figure,
                                  uint64_t least_ns, uint64_t *passes) {
    for (;;) {
        struct kernel_time time = kernel_team_run(team, figure->id, figure->run, *passes);
        if (time.elapsed_ns >= least_ns || !time.right)
            return time;
        uint64_t elapsed_ns = time.elapsed_ns > 0 ? time.elapsed_ns : 1;
        uint64_t missing = *passes * (least_ns - time.elapsed_ns) / elapsed_ns;
        *passes += missing + missing / 8 + 1;
    }
}

/* Spans of a figure on a machine that another figure has warmed up. What is its own, code that an
 * emulator translates and the clock that its instruction set runs at, is warm after the first. */
#define OWN_WARMUP_SPANS 2

/* Runs a figure until its rate has stopped changing, or for as long as the most spans would take;
 * on a machine that is warm a few spans are enough. Sets *passes to what a sample takes, and
 * returns how the last span went. */
static struct kernel_time warm_up(const struct session *session, struct kernel_team *team,
                                  const struct figure *figure, bool machine_is_warm,
                                  uint64_t *passes) {
    struct kernel_traffic traffic = kernel_team_traffic(team, figure->id);
    uint64_t span_ns = session_warmup_ns(session), spent_ns = 0, span_passes = 1;
    struct warmup warmup = {0};
    struct kernel_time time;
    bool warm;
    do {
        time = run_for(team, figure, span_ns, &span_passes);
        spent_ns += time.elapsed_ns;
        warm = warmup_add(&warmup, rate(&traffic, span_passes, time.elapsed_ns),
                          session->precision.fraction) ||
               spent_ns >= WARMUP_MOST * span_ns ||
               (machine_is_warm && warmup.spans >= OWN_WARMUP_SPANS);
    } while (!warm && time.right);
    if (time.right)
        *passes = span_passes * session_min_sample_ns(session) / time.elapsed_ns + 1;
    return time;
}

/* Checks what a figure's runs left, of which `last` was the last, and wipes it. */
static bool is_right(const struct session *session, struct kernel_team *team,
                     const struct figure *figure, const struct kernel_time *last) {
    const char *wrong = last->right ? kernel_team_check_and_wipe(team, figure->id) : "sum";
    if (wrong != NULL)
        session_fail(session, kernels[figure->id].name,
                     "wrong result in %s of %s (%s): nothing is reported", wrong,
                     kernels[figure->id].name, figure->isa);
    return wrong == NULL;
}

/* Whether no kernel has changed what all of them read. */
static bool are_sources_right(const struct session *session, const struct plan *plan,
                              struct kernel_team *team) {
    const char *wrong = kernel_team_check_sources(team);
    if (wrong != NULL)
        session_fail(session, kernels[plan->figures[0].id].name,
                     "%s, which is only read, has changed: nothing is reported", wrong);
    return wrong == NULL;
}

/* Warms up all figures, on arrays just filled, and checks what each of them leaves. */
static bool prove_warming_up(const struct session *session, const struct plan *plan,
                             struct kernel_team *team, struct stage *stage) {
    for (size_t i = 0; i < plan->count; i++) {
        const struct figure *figure = &plan->figures[i];
        struct kernel_time last = warm_up(session, team, figure, i > 0, &stage->passes[i]);
        if (!is_right(session, team, figure, &last))
            return false;
    }
    return are_sources_right(session, plan, team);
}

/* Has all figures run once more after timing, and checks what each of them leaves. */
static bool prove_again(const struct session *session, const struct plan *plan,
                        struct kernel_team *team) {
    kernel_team_wipe(team);
    for (size_t i = 0; i < plan->count; i++) {
        const struct figure *figure = &plan->figures[i];
        struct kernel_time once = kernel_team_run(team, figure->id, figure->run, 1);
        if (!is_right(session, team, figure, &once))
            return false;
    }
    return are_sources_right(session, plan, team);
}

/* False when a reading kernel read something else than the arrays. */
static bool take_sample(const struct session *session, const struct plan *plan,
                        struct kernel_team *team, struct stage *stage, size_t which) {
    const struct figure *figure = &plan->figures[which];
    struct kernel_traffic traffic = kernel_team_traffic(team, figure->id);
    struct sample sample = {.started_at = time(NULL)};
    double before, after;
    bool counted = plan->counted && controller_read(&plan->controller, &before);
    uint64_t passes = stage->passes[which];
    struct kernel_time run =
        run_for(team, figure, session_min_sample_ns(session), &stage->passes[which]);
    /* A run that was repeated with more passes would count the shorter one too. */
    counted =
        counted && passes == stage->passes[which] && controller_read(&plan->controller, &after);
    sample.value = rate(&traffic, stage->passes[which], run.elapsed_ns);
    sample.at_controller = counted ? (after - before) / (double)run.elapsed_ns : 0;
    sample.disturbed = run.disturbed;
    series_add(&stage->series[which], &sample);
    if (!run.right)
        session_fail(session, kernels[figure->id].name, "wrong sum of %s (%s): nothing is reported",
                     kernels[figure->id].name, figure->isa);
    return run.right;
}

/* Runs rounds of all figures until every one has samples enough. */
static bool take_samples(const struct session *session, const struct plan *plan,
                         struct kernel_team *team, struct stage *stage) {
    for (bool enough = false; !enough;) {
        enough = true;
        for (size_t i = 0; i < plan->count; i++) {
            if (!take_sample(session, plan, team, stage, i))
                return false;
            enough = enough && session_enough(session, &stage->series[i]);
        }
    }
    return true;
}

static void label_series(const struct session *session, const struct plan *plan,
                         struct stage *stage) {
    for (size_t i = 0; i < plan->count; i++) {
        const struct kernel *kernel = &kernels[plan->figures[i].id];
        struct series *series = &stage->series[i];
        unsigned counted = kernel->bytes_read + kernel->bytes_written;
        series->variant = kernel->name;
        series->isa = plan->figures[i].isa;
        series->write_allocate = (double)(counted + kernel->bytes_allocated) / (double)counted;
        series->placement = &stage->placement;
        series->pages_on_nodes = stage->pages_on_nodes;
        if (session->threads_auto)
            series->threads = stage->threads;
    }
}

/* Measures all figures with so many threads. NULL after saying why not; the process then has to
 * end. */
static struct stage *measure(struct session *session, const struct plan *plan, unsigned threads,
                             bool first) {
    struct kernel_team team;
    struct stage *stage = calloc(1, sizeof *stage);
    if (stage == NULL) {
        session_say(session, "no memory for the samples");
        return NULL;
    }
    if (!kernel_team_start(&team, session, threads, plan->size_bytes)) {
        session_fail(session, kernels[plan->figures[0].id].name, "%s", team.why);
        return NULL;
    }
    stage->threads = threads;
    label_series(session, plan, stage);
    struct placement_tally before = kernel_team_ask(&team);
    if (first)
        session_look_at_pages(session, (void *const *)team.blocks, KERNEL_ARRAYS, team.block_bytes);
    if (!prove_warming_up(session, plan, &team, stage) ||
        !take_samples(session, plan, &team, stage) || !prove_again(session, plan, &team))
        return NULL;
    struct placement_tally after = kernel_team_ask(&team);
    stage->placement = session_judge(session, &before, &after);
    snprintf(stage->pages_on_nodes, sizeof stage->pages_on_nodes, "%s", session->pages_on_nodes);
    kernel_team_end(&team);
    for (size_t i = 0; i < plan->count; i++)
        series_settle(&stage->series[i]);
    return stage;
}

/* What was measured, by rising number of threads. */
struct stages {
    struct stage *list[STAGES_MAX];
    size_t count;
};

static bool add_stage(struct session *session, const struct plan *plan, struct stages *stages,
                      unsigned threads) {
    struct stage *stage = measure(session, plan, threads, stages->count == 0);
    if (stage == NULL)
        return false;
    size_t at = stages->count++;
    for (; at > 0 && stages->list[at - 1]->threads > threads; at--)
        stages->list[at] = stages->list[at - 1];
    stages->list[at] = stage;
    return true;
}

/* The medians of a figure; returns how many. */
static size_t figure_points(const struct stages *stages, size_t figure,
                            struct saturation_point points[STAGES_MAX]) {
    for (size_t i = 0; i < stages->count; i++)
        points[i] = (struct saturation_point){
            stages->list[i]->threads, series_summary(&stages->list[i]->series[figure]).median};
    return stages->count;
}

/* The next number of threads that any figure needs; 0: none. */
static unsigned next_threads(const struct session *session, const struct plan *plan,
                             const struct stages *stages) {
    struct saturation_point points[STAGES_MAX];
    unsigned threads = 0;
    for (size_t i = 0; i < plan->count && threads == 0; i++)
        threads =
            saturation_next(points, figure_points(stages, i, points), session->precision.fraction);
    return threads;
}

/* 1, 2, 4, ... threads, all, and what lies between until each figure's saturating number is found;
 * or only as many as were asked for. */
static bool measure_all(struct session *session, const struct plan *plan, struct stages *stages) {
    unsigned most = (unsigned)session->threads.value;
    if (!session->threads_auto)
        return add_stage(session, plan, stages, most);
    for (unsigned threads = 1; threads < most; threads *= 2)
        if (!add_stage(session, plan, stages, threads))
            return false;
    if (!add_stage(session, plan, stages, most))
        return false;
    for (unsigned threads;
         stages->count < STAGES_MAX && (threads = next_threads(session, plan, stages)) != 0;)
        if (!add_stage(session, plan, stages, threads))
            return false;
    return true;
}

/* A series with the number of threads that saturates, as its only sample. */
static void add_saturation(const struct session *session, const struct stages *stages,
                           size_t figure, struct series *series) {
    struct saturation_point points[STAGES_MAX];
    size_t count = figure_points(stages, figure, points);
    size_t found = saturation_find(points, count, session->precision.fraction);
    *series = (struct series){
        .variant = stages->list[found]->series[figure].variant,
        .isa = stages->list[found]->series[figure].isa,
        .metric = "saturating_threads",
        .unit = "threads",
        .threads = stages->list[found]->threads,
        .placement = &stages->list[found]->placement,
        .derived = true,
        .doubtful = !session_knows_well(session, &stages->list[found]->series[figure]),
    };
    series_add(series, &(struct sample){.value = points[found].threads, .started_at = time(NULL)});
    series_settle(series);
}

static int report(struct session *session, const struct plan *plan, const struct stages *stages) {
    struct series *series = calloc(plan->count * (stages->count + 1), sizeof *series);
    struct placement_verdict worst = stages->list[0]->placement;
    size_t count = 0;
    if (series == NULL) {
        session_say(session, "no memory for the report");
        return SESSION_NOT_MEASURED;
    }
    for (size_t i = 0; i < plan->count; i++) {
        for (size_t k = 0; k < stages->count; k++)
            series[count++] = stages->list[k]->series[i];
        if (session->threads_auto)
            add_saturation(session, stages, i, &series[count++]);
    }
    for (size_t k = 1; k < stages->count; k++)
        worst = placement_worse(worst, stages->list[k]->placement);
    snprintf(session->proof, sizeof session->proof,
             "every element of every result was right before and after timing");
    int status = session_report(session, series, count, worst);
    for (size_t i = 0; i < count; i++)
        series_free(&series[i]);
    free(series);
    return status;
}

/* The median of what the controllers counted; 0: nothing. */
static double median_at_controller(const struct series *series) {
    double sorted[STATS_MAX_SAMPLES];
    size_t count = 0;
    for (size_t i = 0; i < series->count; i++)
        if (series->taken[i].at_controller > 0 && series->taken[i].disturbed == UNDISTURBED)
            stats_insert(sorted, count++, series->taken[i].at_controller);
    return count > 0 ? stats_summarise(sorted, count).median : 0;
}

static void print_row(const struct series *series, bool counted) {
    struct stats_summary summary = series_summary(series);
    char median[UNITS_FIGURE_TEXT], with[UNITS_FIGURE_TEXT], at[UNITS_FIGURE_TEXT] = "";
    char interval[SESSION_INTERVAL_TEXT];
    double at_controller = counted ? median_at_controller(series) : 0;
    if (at_controller > 0)
        units_format_figure(at_controller, at);
    printf(" %10s %21s %14s", units_format_figure(summary.median, median),
           session_interval(&summary, interval),
           units_format_figure(summary.median * series->write_allocate, with));
    if (counted)
        printf(" %14s", at);
    printf(" %4zu of %zu\n", series->undisturbed, series->count);
}

static void print_rows(const struct session *session, const struct series *series, size_t count) {
    bool counted = false, several = session->threads_auto;
    for (size_t i = 0; i < count; i++)
        counted = counted || median_at_controller(&series[i]) > 0;
    printf("%-13s %-7s%s %10s %21s %14s%s samples\n", "GB/s", "isa", several ? " threads" : "",
           "median", "95 % interval", "write-allocate", counted ? "    controllers" : "");
    for (size_t i = 0; i < count; i++) {
        printf("%-13s %-7s", series[i].variant, series[i].isa);
        if (several)
            printf(" %7u", series[i].threads);
        if (series[i].write_allocate > 0)
            print_row(&series[i], counted);
        else
            printf(" enough: the fewest threads within %g %% of the best\n",
                   100 * session->precision.fraction);
    }
}

int main(int argc, char **argv) {
    static struct plan plan;
    static struct stages stages;
    struct session session;
    int status;
    write_help();
    if (!session_start(&session, &bandwidth, argc, argv, &status))
        return status;
    if (!make_plan(&plan, &session)) {
        session_end(&session);
        return SESSION_BAD_USAGE;
    }
    plan.counted = controller_open(&plan.controller, CONTROLLER_ROOT);
    if (!measure_all(&session, &plan, &stages))
        return SESSION_NOT_MEASURED;
    status = report(&session, &plan, &stages);
    controller_close(&plan.controller);
    for (size_t i = 0; i < stages.count; i++)
        free(stages.list[i]);
    session_end(&session);
    return status;
}
