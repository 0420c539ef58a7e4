/* Latency under load: a chain of dependent loads while other CPUs read the same memory at a set
 * rate, from none to as fast as they can. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "crew.h"
#include "inject.h"
#include "knee.h"
#include "placement.h"
#include "ring.h"
#include "session.h"
#include "spans.h"
#include "topology.h"
#include "units.h"

/* The probe's loads between two looks at the clock: 25 us or so on a real machine, 0.5 to 4 ms in
 * an emulator, where a span is longer for it. */
#define SPAN_LOADS 256

#define LINE_BYTES INJECT_LINE_BYTES

#define RING_SEED 20261122

/* The probe's memory, and the injectors' together. */
#define ARRAYS 2

/* Parts of the rate that the injectors reach without a pace while the probe runs too. Closer
 * together near the top, where on most machines the curve turns up. */
static const struct step {
    const char *variant;
    double rate; /* 0: the injectors rest; 1: no pace */
} steps[] = {
    {"idle", 0},  {"10%", 0.1},  {"20%", 0.2},  {"30%", 0.3}, {"40%", 0.4},
    {"50%", 0.5}, {"60%", 0.6},  {"70%", 0.7},  {"80%", 0.8}, {"85%", 0.85},
    {"90%", 0.9}, {"95%", 0.95}, {"full", 1.0},
};
#define STEPS (sizeof steps / sizeof steps[0])

#define CALIBRATION_SAMPLES 3

static struct option_value injectors_option;

static const struct option_row own_options[] = {
    {"injectors", "LIST",
     "CPUs of the injectors, one thread each, such as 1-3,8 (default: of the measuring\n"
     "CPU's node, all others that this process may use; under taskset -c CPU, all others)",
     OPTION_TEXT, 0, 0, &injectors_option},
};

static void print_rows(const struct session *session, const struct series *series, size_t count);

static const struct session_program loaded = {
    .name = "loaded",
    .metric = "loaded_latency",
    .unit = "ns",
    .about =
        "Latency of a load in ns (1 ns = 1e-9 s) while other CPUs read the same memory. A probe\n"
        "chases one ring in random order, as bench/latency does; injectors, a thread a CPU, read\n"
        "through memory of their own in rising order, one load a 64-byte line, paced by the clock:\n"
        "not at all (idle), at 11 parts (10% to 95%) of the rate they reach unpaced, and unpaced\n"
        "(full). All memory is allocated and first written by the probe's thread.\n"
        "Counted, over the same time: bandwidth, in GB/s (1 GB = 1e9 bytes), is the lines that\n"
        "injectors and probe load times 64 bytes; loaded_latency is the probe's time over loads.\n"
        "A sample is the median over up to 256 spans of it, but for spans in which the injectors\n"
        "read under half of what they read in its busiest tenth: then one had lost its CPU.\n"
        "knee, in GB/s: the total bandwidth at which latency is 1.5 x idle, straight between the\n"
        "steps on either side, at the curve's last such crossing. A link that serves in turn is\n"
        "flat until its capacity and steep there, so there the knee is that capacity. No knee is\n"
        "given when the injectors never raise latency that far.\n",
    .size_help =
        "memory the ring spans, and as much again for the injectors together (default: 256M,\n"
        "or 4 x all last-level caches if larger)",
    .size_min_bytes = 64 << 10,
    .size_max_bytes = RING_MAX_BYTES,
    .size_default_bytes = (uint64_t)256 << 20,
    .arrays = ARRAYS,
    .own_options = own_options,
    .own_option_count = sizeof own_options / sizeof own_options[0],
    .print_rows = print_rows,
};

struct bench {
    struct session *session;
    struct crew crew; /* member 0 is the probe, member i runs injectors[i - 1] */
    void **at;        /* where the probe is on its ring */
    size_t injector_count;
    struct injector *injectors;
    double *rates;               /* of each, unpaced, in lines/ns */
    uint64_t *lines, *lines_now; /* of each, when the sample began and ended */
    double lines_per_ns;         /* of all and the probe, unpaced */
    size_t burst;
    /* The step that the crew is at; its samples, or NULL while calibrating. */
    const struct step *step;
    struct series *latency, *bandwidth;
    atomic_bool stop __attribute__((aligned(128)));
};

static uint64_t count_lines(struct bench *bench, uint64_t *lines) {
    uint64_t total = 0;
    for (size_t i = 0; i < bench->injector_count; i++) {
        lines[i] = atomic_load_explicit(&bench->injectors[i].lines, memory_order_relaxed);
        total += lines[i];
    }
    return total;
}

/* Chases for at least min_ns, and counts what the injectors read meanwhile. False when one of them
 * that should have has read nothing. */
static bool take_sample(struct bench *bench, uint64_t min_ns, struct spans_summary *sample) {
    struct span spans[SPANS_MAX];
    size_t count = 0;
    uint64_t lines = count_lines(bench, bench->lines);
    uint64_t started_ns = clock_ns(), at_ns = started_ns;
    do {
        uint64_t loads = 0, elapsed_ns;
        do {
            bench->at = ring_chase(bench->at, SPAN_LOADS);
            loads += SPAN_LOADS;
            elapsed_ns = clock_ns() - at_ns;
        } while (elapsed_ns < min_ns / SPANS_MAX || elapsed_ns == 0);
        uint64_t lines_now = count_lines(bench, bench->lines_now);
        spans[count++] = (struct span){elapsed_ns, loads, lines_now - lines};
        lines = lines_now;
        at_ns += elapsed_ns;
    } while (at_ns - started_ns < min_ns && count < SPANS_MAX);
    for (size_t i = 0; i < bench->injector_count && bench->step->rate > 0; i++)
        if (bench->lines_now[i] == bench->lines[i])
            return false;
    *sample = spans_summarise(spans, count);
    return true;
}

/* On a busy machine a thread may have to wait for its CPU, but not for seconds. */
#define STARVED_NS 5000000000u

/* Takes samples until all injectors have run in one. False when one of them does not come to run.
 */
static bool next_sample(struct bench *bench, uint64_t min_ns, struct spans_summary *sample) {
    uint64_t started_ns = clock_ns();
    while (!take_sample(bench, min_ns, sample))
        if (clock_ns() - started_ns > min_ns + STARVED_NS)
            return false;
    return true;
}

/* Takes unpaced samples; the fastest one gives the rates, since interruptions only slow it. */
static bool calibrate(struct bench *bench, uint64_t min_ns) {
    bench->lines_per_ns = 0;
    for (size_t i = 0; i < CALIBRATION_SAMPLES; i++) {
        struct spans_summary full;
        if (!next_sample(bench, min_ns, &full))
            return false;
        if (full.rate <= bench->lines_per_ns)
            continue;
        bench->lines_per_ns = full.rate;
        double all = 0;
        for (size_t k = 0; k < bench->injector_count; k++)
            all += (double)(bench->lines_now[k] - bench->lines[k]);
        for (size_t k = 0; k < bench->injector_count; k++)
            bench->rates[k] =
                full.injected_rate * (double)(bench->lines_now[k] - bench->lines[k]) / all;
    }
    return true;
}

/* The step's samples; false when an injector does not come to run. */
static bool probe(struct bench *bench) {
    uint64_t min_ns = session_min_sample_ns(bench->session);
    struct spans_summary sample;
    /* Until threads run, queues are full and the processor's clock is up. */
    if (!next_sample(bench, min_ns / 4, &sample))
        return false;
    if (bench->latency == NULL)
        return calibrate(bench, min_ns);
    while (!session_enough(bench->session, bench->latency)) {
        struct sample latency = {.started_at = time(NULL)};
        struct watch_reading before, after;
        watch_read(&before);
        if (!next_sample(bench, min_ns, &sample))
            return false;
        watch_read(&after);
        latency.value = sample.latency_ns;
        latency.disturbed =
            watch_compare(&bench->session->watch, &before, &after, bench->session->cpus[0]);
        struct sample bandwidth = latency;
        bandwidth.value = sample.bandwidth;
        series_add(bench->latency, &latency);
        series_add(bench->bandwidth, &bandwidth);
    }
    return true;
}

/* At once, since the crew cannot be waited for. */
static _Noreturn void give_up(struct bench *bench) {
    session_say(bench->session, "an injector got no time on its CPU: other programs use it");
    crew_release(&bench->crew);
    exit(SESSION_NOT_MEASURED);
}

/* What each of the crew does in a step. */
static void work(void *context, size_t member) {
    struct bench *bench = context;
    if (member == 0) {
        if (!probe(bench))
            give_up(bench);
        atomic_store(&bench->stop, true);
        return;
    }
    struct injector *injector = &bench->injectors[member - 1];
    if (bench->step->rate <= 0)
        return;
    if (bench->step->rate >= 1) {
        inject(injector, NULL, &bench->stop);
        return;
    }
    struct inject_pace pace = {
        .lines_per_ns = bench->step->rate * bench->rates[member - 1],
        .burst = bench->burst,
        .started_ns = clock_ns(),
    };
    /* Not all at once: each begins its first burst a part of a period later. */
    pace.given = (double)bench->burst * (double)member / (double)bench->injector_count;
    inject(injector, &pace, &bench->stop);
}

static void do_step(struct bench *bench, const struct step *step, struct series *latency,
                    struct series *bandwidth) {
    bench->step = step;
    bench->latency = latency;
    bench->bandwidth = bandwidth;
    atomic_store(&bench->stop, false);
    if (!crew_try(&bench->crew, work, bench, STARVED_NS))
        give_up(bench);
}

/* Series of the report: every step's latency, every step's bandwidth, and the knee if there is one.
 */
#define SERIES (2 * STEPS + 1)

static void take_steps(struct bench *bench, struct series series[SERIES]) {
    for (size_t i = 0; i < STEPS; i++) {
        series[i].variant = series[STEPS + i].variant = steps[i].variant;
        series[STEPS + i].metric = "bandwidth";
        series[STEPS + i].unit = "GB/s";
    }
    do_step(bench, &steps[0], &series[0], &series[STEPS]);
    do_step(bench, &steps[STEPS - 1], NULL, NULL);
    series_settle(&series[0]);
    struct stats_summary idle = series_summary(&series[0]);
    bench->burst = inject_burst(idle.median, bench->lines_per_ns);
    for (size_t i = 1; i < STEPS; i++)
        do_step(bench, &steps[i], &series[i], &series[STEPS + i]);
}

static struct knee_point step_point(const struct series series[SERIES], size_t step) {
    const struct series *latency = &series[step], *bandwidth = &series[STEPS + step];
    return (struct knee_point){
        .bandwidth = series_summary(bandwidth).median,
        .latency = series_summary(latency).median,
    };
}

/* Adds the knee's series; returns how many there are then. */
static size_t add_knee(const struct session *session, struct series series[SERIES]) {
    struct knee_point points[STEPS];
    double bandwidth;
    for (size_t i = 0; i < SERIES - 1; i++)
        series_settle(&series[i]);
    for (size_t i = 0; i < STEPS; i++)
        points[i] = step_point(series, i);
    if (!knee_find(points, STEPS, &bandwidth)) {
        session_say(
            session,
            "no knee: at full rate latency is %.2f x idle, below %.1f x: these injectors do "
            "not saturate the memory",
            points[STEPS - 1].latency / points[0].latency, KNEE_RISE);
        return SERIES - 1;
    }
    struct series *knee = &series[SERIES - 1];
    knee->variant = "x1.5";
    knee->metric = "knee";
    knee->unit = "GB/s";
    series_add(knee, &(struct sample){.value = bandwidth, .started_at = time(NULL)});
    return SERIES;
}

/* The curve, a row a step: what is asked for is both its coordinates. */
static void print_rows(const struct session *session, const struct series *series, size_t count) {
    printf("injectors: %" PRIu64 "\n", session->threads.value - 1);
    printf("%-8s %10s %10s %23s %10s %8s\n", "rate", "GB/s", "ns", "95 % interval", "minimum",
           "samples");
    for (size_t i = 0; i < STEPS; i++) {
        struct stats_summary latency = series_summary(&series[i]);
        char interval[SESSION_INTERVAL_TEXT], text[3][UNITS_FIGURE_TEXT];
        printf("%-8s %10s %10s %23s %10s %8zu\n", series[i].variant,
               units_format_figure(step_point(series, i).bandwidth, text[0]),
               units_format_figure(latency.median, text[1]), session_interval(&latency, interval),
               units_format_figure(latency.minimum, text[2]), latency.samples);
    }
    char knee[UNITS_FIGURE_TEXT];
    if (count == SERIES)
        printf("knee: %s GB/s, where latency is %.1f x idle\n",
               units_format_figure(series[SERIES - 1].taken[0].value, knee), KNEE_RISE);
    else
        printf("knee: none, latency stays below %.1f x idle\n", KNEE_RISE);
}

/* The CPUs of --injectors, or those that stand in for it. False with one line said; *status is then
 * the exit status. */
static bool choose_injectors(const struct session *session, hwloc_bitmap_t cpus, int *status) {
    hwloc_const_bitmap_t usable = hwloc_topology_get_allowed_cpuset(session->topology);
    char list[128];
    *status = SESSION_BAD_USAGE;
    if (injectors_option.given) {
        hwloc_bitmap_list_snprintf(list, sizeof list, usable);
        if (!topology_parse_cpus(injectors_option.text, cpus)) {
            session_say(session, "--injectors: '%.40s' is not accepted; a list such as 1-3,8 is",
                        injectors_option.text);
            return false;
        }
        if (hwloc_bitmap_isset(cpus, session->cpus[0]) || !hwloc_bitmap_isincluded(cpus, usable)) {
            session_say(session,
                        "--injectors: '%.40s' is not accepted; CPUs to choose from: %s, without "
                        "the measuring one, %u",
                        injectors_option.text, list, session->cpus[0]);
            return false;
        }
        return true;
    }
    /* taskset -c CPU names the measuring CPU and can mean no more by it. */
    bool one = hwloc_bitmap_weight(session->allowed) == 1;
    hwloc_bitmap_copy(cpus, one ? usable : session->allowed);
    topology_keep_node(session->topology, session->cpu_node, cpus);
    hwloc_bitmap_clr(cpus, session->cpus[0]);
    if (!hwloc_bitmap_iszero(cpus))
        return true;
    session_say(session,
                "CPU %u has no other CPU beside it on node %d to inject from; --injectors LIST "
                "names some elsewhere",
                session->cpus[0], session->cpu_node);
    *status = SESSION_NOT_MEASURED;
    return false;
}

/* Cuts the injectors' memory into equal parts and starts the crew. Returns 0 or an errno; after an
 * error threads may wait for ever, so the process has to end. */
static int start(struct bench *bench, const char *memory, hwloc_const_bitmap_t cpus) {
    size_t count = (size_t)hwloc_bitmap_weight(cpus);
    size_t part = bench->session->size.value / count / LINE_BYTES * LINE_BYTES;
    unsigned *members = calloc(count + 1, sizeof *members);
    bench->injector_count = count;
    bench->injectors = aligned_alloc(_Alignof(struct injector), count * sizeof *bench->injectors);
    bench->rates = calloc(count, sizeof *bench->rates);
    bench->lines = calloc(2 * count, sizeof *bench->lines);
    bench->lines_now = bench->lines + count;
    if (members == NULL || bench->injectors == NULL || bench->rates == NULL || bench->lines == NULL)
        return ENOMEM;
    members[0] = bench->session->cpus[0];
    int cpu = hwloc_bitmap_first(cpus);
    for (size_t i = 0; i < count; i++, cpu = hwloc_bitmap_next(cpus, cpu)) {
        members[i + 1] = (unsigned)cpu;
        bench->injectors[i] = (struct injector){.memory = memory + i * part, .size_bytes = part};
    }
    int error = crew_start(&bench->crew, bench->session->topology, members, count + 1);
    free(members);
    return error;
}

static struct placement_tally ask(const struct session *session, void *const blocks[ARRAYS]) {
    struct placement_tally tally = {0};
    for (size_t i = 0; i < ARRAYS; i++)
        placement_add(&tally, blocks[i], session->size.value, &session->source.expected);
    return tally;
}

/* NULL, or why there is no ring to walk. */
static const char *lay_ring(struct bench *bench, void *memory) {
    struct ring ring;
    int error = ring_build(&ring, memory, bench->session->size.value, RING_SEED);
    if (error != 0)
        return strerror(error);
    bench->at = ring.starts[0];
    return ring_is_whole(&ring) ? NULL : "not back at its start after exactly one round";
}

static int measure(struct session *session, void *const blocks[ARRAYS], hwloc_const_bitmap_t cpus) {
    static struct series series[SERIES];
    static struct bench bench;
    bench.session = session;
    const char *wrong = lay_ring(&bench, blocks[0]);
    if (wrong != NULL) {
        session_say(session, "cannot lay the ring: %s", wrong);
        return SESSION_NOT_MEASURED;
    }
    /* Written, or all pages would be the one page of zeros. */
    memset(blocks[1], 1, session->size.value);
    struct placement_tally before = ask(session, blocks);
    session_look_at_pages(session, blocks, ARRAYS, session->size.value);
    int error = start(&bench, blocks[1], cpus);
    if (error != 0) {
        session_say(session, "cannot start %zu pinned threads: %s", bench.injector_count,
                    strerror(error));
        exit(SESSION_NOT_MEASURED);
    }
    take_steps(&bench, series);
    crew_end(&bench.crew);
    free(bench.injectors);
    free(bench.rates);
    free(bench.lines);
    if ((uintptr_t)bench.at - (uintptr_t)blocks[0] >= session->size.value) {
        session_say(session, "the walk left the ring");
        return SESSION_NOT_MEASURED;
    }
    struct placement_tally after = ask(session, blocks);
    struct placement_verdict placement = session_judge(session, &before, &after);
    return session_report(session, series, add_knee(session, series), placement);
}

/* Gets the memory, measures in it and gives it back. */
static int measure_in_memory(struct session *session, hwloc_const_bitmap_t cpus) {
    void *blocks[ARRAYS] = {NULL};
    const char *why = NULL;
    int status = SESSION_NOT_MEASURED;
    for (size_t i = 0; i < ARRAYS && why == NULL; i++)
        blocks[i] = memory_get(&session->source, session->size.value, &why);
    if (why != NULL)
        session_say(session, "cannot get memory: %s", why);
    else
        status = measure(session, blocks, cpus);
    for (size_t i = 0; i < ARRAYS; i++)
        if (blocks[i] != NULL)
            memory_free(&session->source, blocks[i], session->size.value);
    return status;
}

int main(int argc, char **argv) {
    struct session session;
    int status;
    if (!session_start(&session, &loaded, argc, argv, &status))
        return status;
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    if (choose_injectors(&session, cpus, &status)) {
        session.threads.value = 1 + (uint64_t)hwloc_bitmap_weight(cpus);
        status = measure_in_memory(&session, cpus);
    }
    hwloc_bitmap_free(cpus);
    session_end(&session);
    return status;
}
