/* Latency of handing a cache line from one CPU to another, for every two CPUs. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "crew.h"
#include "handover.h"
#include "handover_pairs.h"
#include "placement.h"
#include "session.h"
#include "stats.h"
#include "topology.h"
#include "warmup.h"

#define DEFAULT_LINES 64
#define MAX_LINES     65536

/* Most spans that a sample is timed in. One that a thread was off its CPU in takes some ms more,
 * and on a busy machine there is one in every sample: so the sample is their median. */
#define SPANS_MAX 256

/* On a busy machine a thread may have to wait for its CPU, but not for seconds. */
#define PATIENCE_NS 5000000000u

/* A measurement is announced that will take longer than this. */
#define LONG_NS 60000000000u

static struct option_value cpus_option, lines_option, variants_option;

static const struct option_row own_options[] = {
    {"cpus", "LIST", "CPUs of the pairs, such as 0-3,8 (default: all that this process may use)",
     OPTION_TEXT, 0, 0, &cpus_option},
    {"lines", "N", "lines handed over, an even number (default: 64)", OPTION_COUNT, 2, MAX_LINES,
     &lines_option},
    {"variants", "LIST", "cas, store-load or both, with a comma (default: both)", OPTION_TEXT, 0, 0,
     &variants_option},
};

static void print_rows(const struct session *session, const struct series *series, size_t count);

static const struct session_program core2core = {
    .name = "core2core",
    .metric = "handover_latency",
    .unit = "ns",
    .about =
        "One-way latency in ns (1 ns = 1e-9 s) of handing a cache line from one CPU to another, for\n"
        "every two CPUs: half a round trip.\n"
        "  cas         both compare and swap on one line, each waiting for the other's number\n"
        "  store-load  a line for each direction, stored by one CPU and loaded by the other\n"
        "Both go through --lines lines, 64 round trips on each, 2,368 bytes (37 x 64) apart, so that\n"
        "no one slice or home decides the figure. A turn is taken only on the exact number that the\n"
        "turn before it left, and all numbers are checked after each pair, so every line was handed\n"
        "over equally often, in strict turns. Counted: time over hand-overs; a sample is the median\n"
        "over up to 256 spans of it.\n"
        "The lines are allocated and first written from --cpu, so without a policy they are homed\n"
        "on its node; --node homes them on another. A pair that gets no turn for 5 s is given up.\n"
        "A figure of a pair: about 0.1 s; all of n CPUs: n x (n - 1) / 2 pairs, two variants.\n",
    .sizeless = true,
    .min_sample_ms = 10, /* there are many pairs */
    .arrays = 1,
    .own_options = own_options,
    .own_option_count = sizeof own_options / sizeof own_options[0],
    .print_rows = print_rows,
};

struct bench {
    struct session session; /* first: print_rows is given its address */
    hwloc_bitmap_t cpus;
    size_t variant_count;
    const struct handover_variant *variants[HANDOVER_VARIANTS];
    struct handover handover;
    /* A row a pair, in the order measured; series[pair * variant_count + variant]. */
    size_t pair_count, series_count;
    struct handover_pair *pairs;
    struct series *series;
    uint64_t handovers; /* in all */
    /* The pair being measured. */
    struct crew crew;
    unsigned members[2]; /* their CPUs */
    int nodes[2];
    const struct handover_variant *variant;
    uint64_t laps_a_span, spans; /* of a sample, spans up to SPANS_MAX */
    double sorted_ns[SPANS_MAX]; /* what they took last */
    uint64_t elapsed_ns;         /* all of them */
    struct watch_reading before[2], after[2];
    atomic_bool both_run __attribute__((aligned(128)));
};

/* The first thread's part of a sample. */
static void time_spans(struct bench *bench) {
    uint64_t started_ns = clock_ns(), at_ns = started_ns;
    for (size_t i = 0; i < bench->spans; i++) {
        uint64_t first = bench->handover.laps + i * bench->laps_a_span;
        if (!handover_run(&bench->handover, bench->variant, 0, first, bench->laps_a_span))
            return;
        uint64_t now_ns = clock_ns();
        stats_insert(bench->sorted_ns, i, (double)(now_ns - at_ns));
        at_ns = clock_ns();
    }
    bench->elapsed_ns = at_ns - started_ns;
}

/* What both of the crew do for a sample. The second is known to run before the first looks at the
 * clock: it may have been woken late. */
static void hand_over(void *context, size_t member) {
    struct bench *bench = context;
    watch_read(&bench->before[member]);
    if (member == 1) {
        atomic_store(&bench->both_run, true);
        handover_run(&bench->handover, bench->variant, 1, bench->handover.laps,
                     bench->spans * bench->laps_a_span);
    } else if (handover_await(&bench->handover, &bench->both_run)) {
        time_spans(bench);
    }
    watch_read(&bench->after[member]);
}

static void find_nodes(void *context, size_t member) {
    struct bench *bench = context;
    bench->nodes[member] = session_current_node();
}

/* At once, since the crew cannot be waited for. */
static _Noreturn void give_up(struct bench *bench) {
    session_fail(&bench->session, "", "CPU %u or %u took no turn for 5 s: other programs use it",
                 bench->members[0], bench->members[1]);
    crew_release(&bench->crew);
    exit(SESSION_NOT_MEASURED);
}

static void do_together(struct bench *bench, crew_work *work) {
    atomic_store(&bench->both_run, false);
    if (!crew_try(&bench->crew, work, bench, PATIENCE_NS) || atomic_load(&bench->handover.broken))
        give_up(bench);
}

/* Sets spans of a sample of so many laps, or a few more. */
static void set_laps(struct bench *bench, uint64_t laps) {
    bench->laps_a_span = (laps + SPANS_MAX - 1) / SPANS_MAX;
    bench->spans = (laps + bench->laps_a_span - 1) / bench->laps_a_span;
}

/* Laps that take min_ns or so, if they go on as those of the last sample did. */
static uint64_t laps_in(const struct bench *bench, uint64_t min_ns) {
    double laps = (double)(bench->spans * bench->laps_a_span);
    return (uint64_t)((double)min_ns / ((double)bench->elapsed_ns + 1) * laps) + 1;
}

/* Hands over for all spans; returns ns a hand-over in the median one. */
static double take_sample(struct bench *bench) {
    const struct handover *handover = &bench->handover;
    uint64_t laps = bench->spans * bench->laps_a_span;
    do_together(bench, hand_over);
    bench->handovers += handover_count(handover, bench->variant, laps);
    bench->handover.laps += laps;
    double median_ns =
        (bench->sorted_ns[(bench->spans - 1) / 2] + bench->sorted_ns[bench->spans / 2]) / 2;
    return median_ns / (double)handover_count(handover, bench->variant, bench->laps_a_span);
}

static void warm_up(struct bench *bench) {
    uint64_t span_ns = session_warmup_ns(&bench->session);
    struct warmup warmup = {0};
    set_laps(bench, 1);
    while (!warmup_add(&warmup, take_sample(bench), bench->session.precision.fraction))
        set_laps(bench, laps_in(bench, span_ns));
    set_laps(bench, laps_in(bench, session_min_sample_ns(&bench->session)));
}

/* A sample that is long enough. */
static struct sample next_sample(struct bench *bench) {
    uint64_t min_ns = session_min_sample_ns(&bench->session);
    struct sample sample = {.started_at = time(NULL)};
    for (;;) {
        sample.value = take_sample(bench);
        if (bench->elapsed_ns >= min_ns)
            break;
        set_laps(bench, laps_in(bench, min_ns + min_ns / 8));
    }
    for (size_t i = 0; i < 2; i++) {
        enum disturbance disturbed = watch_compare(&bench->session.watch, &bench->before[i],
                                                   &bench->after[i], bench->members[i]);
        if (disturbed > sample.disturbed)
            sample.disturbed = disturbed;
    }
    return sample;
}

/* False when the lines do not hold what they should. */
static bool measure_variant(struct bench *bench, const struct handover_variant *variant,
                            struct series *series) {
    bench->variant = variant;
    handover_clear(&bench->handover);
    warm_up(bench);
    while (!session_enough(&bench->session, series)) {
        struct sample sample = next_sample(bench);
        series_add(series, &sample);
    }
    return handover_is_whole(&bench->handover, variant);
}

/* Returns 0 or an errno. */
static int pin(const struct bench *bench, unsigned cpu) {
    hwloc_bitmap_t only = hwloc_bitmap_alloc();
    if (only == NULL)
        return ENOMEM;
    hwloc_bitmap_only(only, cpu);
    int error =
        hwloc_set_cpubind(bench->session.topology, only, HWLOC_CPUBIND_THREAD) == 0 ? 0 : errno;
    hwloc_bitmap_free(only);
    return error;
}

static void label(const struct bench *bench, const struct handover_pair *pair,
                  struct series *series) {
    for (size_t i = 0; i < bench->variant_count; i++) {
        series[i].variant = bench->variants[i]->name;
        series[i].cpu = &pair->cpu;
        series[i].cpu_node = pair->cpu_node;
        series[i].other = &pair->other;
    }
}

/* Returns the exit status. */
static int measure_pair(struct bench *bench, struct handover_pair *pair, struct series *series) {
    struct session *session = &bench->session;
    bench->members[0] = pair->cpu;
    bench->members[1] = (unsigned)pair->other.cpu;
    int error = pin(bench, pair->cpu);
    if (error == 0)
        error = crew_start(&bench->crew, session->topology, bench->members, 2);
    if (error != 0) {
        session_fail(session, "", "cannot run threads on CPUs %u and %u: %s", bench->members[0],
                     bench->members[1], strerror(error));
        exit(SESSION_NOT_MEASURED); /* the second thread may wait for ever */
    }
    do_together(bench, find_nodes);
    pair->cpu_node = bench->nodes[0];
    pair->other.cpu_node = bench->nodes[1];
    label(bench, pair, series);
    bool whole = true;
    for (size_t i = 0; i < bench->variant_count && whole; i++)
        whole = measure_variant(bench, bench->variants[i], &series[i]);
    crew_end(&bench->crew);
    if (whole)
        return SESSION_MEASURED;
    return session_fail(session, bench->variant->name,
                        "CPUs %u and %u did not hand the lines over in turns", pair->cpu,
                        bench->members[1]);
}

/* On a terminal how far it is; elsewhere once, after the first pair, if it will be long. */
static void show_progress(const struct bench *bench, size_t done, uint64_t elapsed_ns) {
    double left_s = (double)elapsed_ns / 1e9 / (double)done * (double)(bench->pair_count - done);
    if (done == 1 && left_s * 1e9 > (double)LONG_NS)
        session_say(&bench->session, "%zu pairs of CPUs: about %.0f minutes", bench->pair_count,
                    left_s / 60 + 0.5);
    if (!isatty(STDERR_FILENO) || bench->pair_count == 1)
        return;
    fprintf(stderr, "\r%zu of %zu pairs, %.0f s left \033[K", done, bench->pair_count, left_s);
    if (done == bench->pair_count)
        fprintf(stderr, "\r\033[K");
}

static struct placement_tally ask(const struct bench *bench) {
    struct placement_tally tally = {0};
    placement_add(&tally, bench->handover.memory, handover_bytes(bench->handover.lines),
                  &bench->session.source.expected);
    return tally;
}

static int measure(struct bench *bench) {
    struct session *session = &bench->session;
    void *memory = bench->handover.memory;
    int status = SESSION_MEASURED;
    handover_clear(&bench->handover);
    struct placement_tally before = ask(bench);
    session_look_at_pages(session, &memory, 1, handover_bytes(bench->handover.lines));
    uint64_t started_ns = clock_ns();
    for (size_t i = 0; i < bench->pair_count && status == SESSION_MEASURED; i++) {
        status = measure_pair(bench, &bench->pairs[i], &bench->series[i * bench->variant_count]);
        show_progress(bench, i + 1, clock_ns() - started_ns);
    }
    if (status != SESSION_MEASURED)
        return status;
    struct placement_tally after = ask(bench);
    snprintf(session->proof, sizeof session->proof,
             "%" PRIu64 " hand-overs counted in %zu lines: each equally often and in strict turns",
             bench->handovers, bench->handover.lines);
    return session_report(session, bench->series, bench->series_count,
                          session_judge(session, &before, &after));
}

static int measure_in_memory(struct bench *bench) {
    struct session *session = &bench->session;
    size_t bytes = handover_bytes(bench->handover.lines);
    const char *why;
    bench->handover.memory = memory_get(&session->source, bytes, &why);
    if (bench->handover.memory == NULL) {
        return session_fail(session, "cas", "cannot get memory: %s", why);
    }
    bench->pair_count = handover_pairs_list(bench->cpus, &bench->pairs);
    bench->series_count = bench->pair_count * bench->variant_count;
    bench->series = calloc(bench->series_count, sizeof *bench->series);
    int status = SESSION_NOT_MEASURED;
    if (bench->pairs == NULL || bench->series == NULL)
        session_say(session, "no memory for the list of pairs");
    else
        status = measure(bench);
    for (size_t i = 0; bench->series != NULL && i < bench->series_count; i++)
        series_free(&bench->series[i]);
    free(bench->series);
    free(bench->pairs);
    memory_free(&session->source, bench->handover.memory, bytes);
    return status;
}

/* A matrix of medians a variant. */
static void print_rows(const struct session *session, const struct series *series, size_t count) {
    const struct bench *bench = (const struct bench *)session;
    size_t pairs = count / bench->variant_count;
    double *medians = calloc(pairs, sizeof *medians);
    if (medians == NULL) {
        session_say(session, "no memory for the table");
        return;
    }
    for (size_t i = 0; i < bench->variant_count; i++) {
        for (size_t pair = 0; pair < pairs; pair++)
            medians[pair] = series_summary(&series[pair * bench->variant_count + i]).median;
        printf("\n%s, ns one way, medians:\n", bench->variants[i]->name);
        handover_pairs_matrix(stdout, bench->cpus, bench->pairs, medians, pairs);
        handover_pairs_summary(stdout, session->topology, bench->pairs, medians, pairs);
    }
    free(medians);
}

/* Takes each variant once. */
static bool add_variant(void *context, const char *name, size_t length) {
    struct bench *bench = context;
    const struct handover_variant *variant = handover_find(name, length);
    for (size_t i = 0; i < bench->variant_count; i++)
        if (bench->variants[i] == variant)
            return false;
    if (variant != NULL)
        bench->variants[bench->variant_count++] = variant;
    return variant != NULL;
}

/* Reads --variants. */
static bool choose_variants(struct bench *bench) {
    const char *list = variants_option.given ? variants_option.text : "cas,store-load";
    if (options_each_word(list, add_variant, bench))
        return true;
    session_say(&bench->session, "--variants: '%.40s' is not accepted; cas, store-load or both are",
                variants_option.text);
    return false;
}

/* Reads --cpus. False with one line said; *status is then the exit status. */
static bool choose_cpus(struct bench *bench, int *status) {
    struct session *session = &bench->session;
    char list[128];
    *status = SESSION_BAD_USAGE;
    hwloc_bitmap_list_snprintf(list, sizeof list, session->allowed);
    hwloc_bitmap_copy(bench->cpus, session->allowed);
    if (cpus_option.given && (!topology_parse_cpus(cpus_option.text, bench->cpus) ||
                              !hwloc_bitmap_isincluded(bench->cpus, session->allowed) ||
                              hwloc_bitmap_weight(bench->cpus) < 2)) {
        session_say(session,
                    "--cpus: '%.40s' is not accepted; a list of two or more such as 0-3,8 is, of "
                    "those that this process may use: %s",
                    cpus_option.text, list);
        return false;
    }
    if (hwloc_bitmap_weight(bench->cpus) >= 2)
        return true;
    *status =
        session_fail(session, "", "a hand-over needs two CPUs; this process may use one: %s", list);
    return false;
}

static bool choose(struct bench *bench, int *status) {
    struct session *session = &bench->session;
    uint64_t lines = lines_option.given ? lines_option.value : DEFAULT_LINES;
    *status = SESSION_BAD_USAGE;
    if (lines % 2 != 0) {
        session_say(session, "--lines: %" PRIu64 " is not accepted; an even number is", lines);
        return false;
    }
    if (!choose_variants(bench) || !choose_cpus(bench, status))
        return false;
    session->threads.value = 2;
    session->size.value = lines * 64;
    bench->handover.lines = lines;
    bench->handover.patience_ns = PATIENCE_NS;
    return true;
}

int main(int argc, char **argv) {
    static struct bench bench;
    int status;
    if (!session_start(&bench.session, &core2core, argc, argv, &status))
        return status;
    bench.cpus = hwloc_bitmap_alloc();
    if (choose(&bench, &status))
        status = measure_in_memory(&bench);
    hwloc_bitmap_free(bench.cpus);
    session_end(&bench.session);
    return status;
}
