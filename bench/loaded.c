/* Latency under load: a victim's chain of dependent loads while aggressors on other CPUs read and
 * write memory at a set rate, from none to as fast as they can. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "loading.h"
#include "placement.h"
#include "ring.h"
#include "session.h"
#include "topology.h"
#include "units.h"
#include "victim_matrix.h"

#define RING_SEED 20261122

/* The victim's memory, and the aggressors' together. */
enum { VICTIM, AGGRESSORS, BLOCKS };

static struct option_value aggressors_option, aggressor_memory_option, mix_option;
static struct option_value matrix_option, curves_option;

static const struct option_row own_options[] = {
    {"mix", "R:W",
     "lines that aggressors read for those that they write: 3:1, 2:1, 1:1, 0:1, ...;\n"
     "with -nt behind, as in 1:1-nt, by non-temporal stores (default: 1:0)",
     OPTION_TEXT, 0, 0, &mix_option},
    {"aggressors", "LIST",
     "CPUs of the aggressors, a thread each, such as 1-3,8 (default: all others of the\n"
     "victim's node that this process may use; under taskset -c CPU, all others of it)",
     OPTION_TEXT, 0, 0, &aggressors_option},
    {"aggressor-memory", "N",
     "the aggressors' memory hand-placed on this node by libnuma (default: as the\n"
     "victim's)",
     OPTION_COUNT, 0, PLACEMENT_NODES - 1, &aggressor_memory_option},
    {"matrix", NULL,
     "every victim (CPU node, memory node), alone and beside all aggressors (CPU\n"
     "node, memory node) at full rate, memory hand-placed by libnuma; --cpu, --node,\n"
     "--aggressors and --aggressor-memory each keep to what they name",
     OPTION_FLAG, 0, 0, &matrix_option},
    {"curves", NULL, "with --matrix: at all rates, and the knee of each pair", OPTION_FLAG, 0, 0,
     &curves_option},
};

static void print_rows(const struct session *session, const struct series *series, size_t count);

static const struct session_program loaded = {
    .name = "loaded",
    .metric = "loaded_latency",
    .unit = "ns",
    .about =
        "Latency of a load in ns (1 ns = 1e-9 s) while other CPUs use the memory. A victim chases\n"
        "one ring in random order, as bench/latency does; aggressors, a thread a CPU, read through\n"
        "memory of their own in rising order, one load a 64-byte line, paced by the clock: not at\n"
        "all (idle), at 11 parts (10% to 95%) of the rate they reach unpaced, and unpaced (full).\n"
        "With --mix they also write: one 8-byte store a line, for which the processor fetches the\n"
        "line first (write-allocate) and writes it back later; non-temporal stores fill the line\n"
        "and fetch nothing. All memory is allocated and first written by the victim's thread.\n"
        "Counted, over the same time: bandwidth, in GB/s (1 GB = 1e9 bytes), is the lines that\n"
        "aggressors and victim load or store, once each, times 64 bytes; value_write_allocate in\n"
        "the CSV has those fetched for stores in addition. loaded_latency is the victim's time over\n"
        "loads. A sample is the median over up to 256 spans of it, but for those in which the\n"
        "victim was preempted or faulted, or the aggressors moved under half of what they move in\n"
        "the busiest tenth: then one had lost its CPU. A sample that loses over half of its spans\n"
        "so is marked (disturbed: preempted).\n"
        "knee, in GB/s: the total bandwidth at which latency is 1.5 x idle, straight between the\n"
        "steps on either side, at the curve's last such crossing. A link that serves in turn is\n"
        "flat until its capacity and steep there, so there the knee is that capacity. No knee is\n"
        "given when the aggressors never raise latency that far.\n"
        "--matrix: who slows whom down. The victim is the first CPU of each node, the aggressors\n"
        "are all other CPUs of one node; nodes without CPUs are memory only. In the CSV cpu_node\n"
        "and mem_node are the victim's, other_cpu_node and other_mem_node the aggressors'.\n",
    .size_help =
        "memory the ring spans, and as much again for the aggressors together; with\n"
        "--matrix both on every node (default: 256M, or 4 x all last-level caches if larger)",
    .size_min_bytes = 64 << 10,
    .size_max_bytes = RING_MAX_BYTES,
    .size_default_bytes = (uint64_t)256 << 20,
    .arrays = BLOCKS,
    .checks_room = true,
    .own_options = own_options,
    .own_option_count = sizeof own_options / sizeof own_options[0],
    .print_rows = print_rows,
};

/* The curve: one victim, one set of aggressors, all rates. */

/* Series of the report: every step's latency, every step's bandwidth, and the knee if there is one.
 */
#define SERIES (2 * LOADING_STEPS + 1)

/* The curve, a row a step: what is asked for is both its coordinates. */
static void print_rows(const struct session *session, const struct series *series, size_t count) {
    printf("aggressors: %" PRIu64, session->threads.value - 1);
    if (aggressor_memory_option.given)
        printf(", their memory on node %" PRIu64, aggressor_memory_option.value);
    printf("\n%-12s %10s %10s %23s %10s %8s\n", "rate", "GB/s", "ns", "95 % interval", "minimum",
           "samples");
    for (size_t i = 0; i < LOADING_STEPS; i++) {
        struct stats_summary latency = series_summary(&series[i]);
        double bandwidth = series_summary(&series[LOADING_STEPS + i]).median;
        char interval[SESSION_INTERVAL_TEXT], text[3][UNITS_FIGURE_TEXT];
        printf("%-12s %10s %10s %23s %10s %8zu\n", series[i].variant,
               units_format_figure(bandwidth, text[0]),
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

/* Where the blocks' memory comes from. */
struct sources {
    struct memory_source *of[BLOCKS];
    struct memory_source aggressors; /* when it is not the session's */
};

static struct placement_tally ask(const struct session *session, const struct sources *sources,
                                  void *const blocks[BLOCKS]) {
    struct placement_tally tally = {0};
    for (size_t i = 0; i < BLOCKS; i++)
        placement_add(&tally, blocks[i], session->size.value, &sources->of[i]->expected);
    return tally;
}

/* The aggressors' node where all are on one, negative otherwise. */
static struct series_other name_aggressors(const struct session *session,
                                           const struct sources *sources,
                                           hwloc_const_bitmap_t cpus) {
    struct series_other other = SERIES_NO_OTHER;
    int *node_of_cpu = victims_ask_nodes(session->topology, cpus);
    int cpu = hwloc_bitmap_first(cpus);
    if (node_of_cpu != NULL)
        other.cpu_node = node_of_cpu[cpu];
    for (; node_of_cpu != NULL && cpu >= 0; cpu = hwloc_bitmap_next(cpus, cpu))
        if (node_of_cpu[cpu] != other.cpu_node)
            other.cpu_node = -1;
    free(node_of_cpu);
    other.mem_node = sources->of[AGGRESSORS]->node;
    return other;
}

/* Where the curve's figures go, and how they are labelled; returns how many series there are. */
static size_t collect(const struct session *session, struct loading_figure *figures,
                      const struct series_other *other, struct series series[SERIES]) {
    double rise;
    bool knee = loading_knee(figures, &series[SERIES - 1], &rise);
    for (size_t i = 0; i < LOADING_STEPS; i++) {
        bool idle = i == LOADING_IDLE;
        series[i] = figures[i].latency;
        series[LOADING_STEPS + i] = figures[i].bandwidth;
        series[i].other = series[LOADING_STEPS + i].other = idle ? NULL : other;
    }
    series[SERIES - 1].other = other;
    if (knee)
        return SERIES;
    session_say(session,
                "no knee: at full rate latency is %.2f x idle, below %.1f x: these aggressors do "
                "not saturate the memory",
                rise, KNEE_RISE);
    return SERIES - 1;
}

static int measure(struct session *session, const struct sources *sources,
                   void *const blocks[BLOCKS], hwloc_const_bitmap_t cpus,
                   const struct loading_plan *plan) {
    static struct loading_figure figures[LOADING_STEPS];
    static struct series series[SERIES];
    struct loading loading;
    struct ring ring;
    size_t size_bytes = session->size.value;
    int error = ring_build(&ring, blocks[VICTIM], size_bytes, RING_SEED);
    if (error != 0)
        return session_fail(session, "idle", "cannot lay the ring: %s", strerror(error));
    if (!ring_is_whole(&ring))
        return session_fail(session, "idle", "the ring is broken: not back after exactly %zu loads",
                            ring.lines);
    snprintf(session->proof, sizeof session->proof,
             "one ring walked whole: back after %zu loads and not before", ring.lines);
    memset(blocks[AGGRESSORS], 1, size_bytes);
    struct placement_tally before = ask(session, sources, blocks);
    session_look_at_pages(session, blocks, BLOCKS, size_bytes);
    struct series_other other = name_aggressors(session, sources, cpus);
    error = loading_start(&loading, session, session->cpus[0], cpus, plan);
    if (error != 0) {
        session_fail(session, "idle", "cannot start %" PRIu64 " pinned threads: %s",
                     session->threads.value, strerror(error));
        exit(SESSION_NOT_MEASURED);
    }
    if (!loading_use(&loading, ring.starts[0], blocks[AGGRESSORS], size_bytes)) {
        session_fail(session, "idle", "--size is too small for %zu aggressors",
                     loading.aggressor_count);
        exit(SESSION_NOT_MEASURED);
    }
    loading_idle(&loading, &figures[LOADING_IDLE]);
    loading_rates(&loading, figures);
    loading_end(&loading);
    if ((uintptr_t)loading.at - (uintptr_t)blocks[VICTIM] >= size_bytes)
        return session_fail(session, "idle", "the walk left the ring");
    struct placement_tally after = ask(session, sources, blocks);
    struct placement_verdict placement = session_judge(session, &before, &after);
    return session_report(session, series, collect(session, figures, &other, series), placement);
}

/* Gets the memory, measures in it and gives it back. */
static int measure_curve(struct session *session, hwloc_const_bitmap_t cpus,
                         const struct loading_plan *plan) {
    struct sources sources = {.of = {&session->source, &session->source}};
    void *blocks[BLOCKS] = {NULL};
    const char *why = NULL;
    int status;
    if (aggressor_memory_option.given) {
        memory_describe(&sources.aggressors,
                        &(struct memory_facts){.libnuma_node = (int)aggressor_memory_option.value});
        sources.of[AGGRESSORS] = &sources.aggressors;
    }
    for (size_t i = 0; i < BLOCKS && why == NULL; i++)
        blocks[i] = memory_get(sources.of[i], session->size.value, &why);
    if (why != NULL)
        status = session_fail(session, "idle", "cannot get memory: %s", why);
    else
        status = measure(session, &sources, blocks, cpus, plan);
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i] != NULL)
            memory_free(sources.of[i], blocks[i], session->size.value);
    return status;
}

/* Options. */

static bool refuse(int *status, int with) {
    *status = with;
    return false;
}

static bool read_mix(const struct session *session, struct loading_plan *plan) {
    struct aggressor_mix mix = {.reads = 1};
    if (mix_option.given && !aggressor_mix_parse(mix_option.text, &mix)) {
        session_say(session,
                    "--mix: '%.40s' is not accepted; R:W is, such as 2:1 or 1:1-nt, numbers up "
                    "to %d",
                    mix_option.text, AGGRESSOR_MIX_MAX);
        return false;
    }
    loading_plan(plan, &mix);
    return true;
}

/* False with one line said when the aggressors' memory cannot be asked for. */
static bool check_memory(const struct session *session, int *status) {
    hwloc_bitmap_t usable = hwloc_bitmap_alloc();
    char list[128];
    uint64_t node = aggressor_memory_option.value;
    topology_usable_nodes(session->topology, usable);
    hwloc_bitmap_list_snprintf(list, sizeof list, usable);
    /* With no node's memory known the kernel judges. */
    bool known = !hwloc_bitmap_iszero(usable);
    bool ok =
        !aggressor_memory_option.given || !known || hwloc_bitmap_isset(usable, (unsigned)node);
    hwloc_bitmap_free(usable);
    if (!ok) {
        session_say(session,
                    "--aggressor-memory: %" PRIu64
                    " is not a node with memory this process may use; nodes to choose from: %s",
                    node, list);
        return refuse(status, SESSION_BAD_USAGE);
    }
    if (curves_option.given && !matrix_option.given) {
        session_say(session, "--curves goes with --matrix; without that there is one curve anyway");
        return refuse(status, SESSION_BAD_USAGE);
    }
    /* A node that cannot hold it would get the process killed. A matrix leaves such a node out. */
    uint64_t node_bytes = topology_node_bytes(session->topology, (unsigned)node);
    if (!aggressor_memory_option.given || matrix_option.given || node_bytes == 0 ||
        session->size.value <= node_bytes)
        return true;
    session_fail(session, "idle",
                 "%" PRIu64 "M are wanted for aggressors, but node %" PRIu64 " has %" PRIu64
                 "M in all; see --size",
                 session->size.value >> 20, node, node_bytes >> 20);
    return refuse(status, SESSION_NOT_MEASURED);
}

/* The CPUs of --aggressors. False with one line said when they are not to be had. */
static bool read_aggressors(const struct session *session, hwloc_bitmap_t cpus) {
    hwloc_const_bitmap_t usable = hwloc_topology_get_allowed_cpuset(session->topology);
    char list[128];
    if (!topology_parse_cpus(aggressors_option.text, cpus)) {
        session_say(session, "--aggressors: '%.40s' is not accepted; a list such as 1-3,8 is",
                    aggressors_option.text);
        return false;
    }
    bool whole = hwloc_bitmap_isincluded(cpus, usable);
    if (whole && (matrix_option.given || !hwloc_bitmap_isset(cpus, session->cpus[0])))
        return true;
    hwloc_bitmap_list_snprintf(list, sizeof list, usable);
    if (matrix_option.given)
        session_say(session, "--aggressors: '%.40s' is not accepted; CPUs to choose from: %s",
                    aggressors_option.text, list);
    else
        session_say(session,
                    "--aggressors: '%.40s' is not accepted; CPUs to choose from: %s, without "
                    "the measuring one, %u",
                    aggressors_option.text, list, session->cpus[0]);
    return false;
}

/* The CPUs of --aggressors, or those that stand in for it: of all nodes in a matrix. False with one
 * line said; *status is then the exit status. */
static bool choose_aggressors(const struct session *session, hwloc_bitmap_t cpus, int *status) {
    if (aggressors_option.given)
        return read_aggressors(session, cpus) || refuse(status, SESSION_BAD_USAGE);
    /* taskset -c CPU names the measuring CPU and can mean no more by it. */
    bool one = hwloc_bitmap_weight(session->allowed) == 1;
    hwloc_bitmap_copy(cpus, one ? hwloc_topology_get_allowed_cpuset(session->topology)
                                : session->allowed);
    if (matrix_option.given)
        return true;
    topology_keep_node(session->topology, session->cpu_node, cpus);
    hwloc_bitmap_clr(cpus, session->cpus[0]);
    if (!hwloc_bitmap_iszero(cpus))
        return true;
    session_fail(session, "idle",
                 "CPU %u has no other CPU beside it on node %d for aggressors; --aggressors LIST "
                 "names some elsewhere",
                 session->cpus[0], session->cpu_node);
    return refuse(status, SESSION_NOT_MEASURED);
}

static int measure_matrix(struct session *session, hwloc_const_bitmap_t cpus,
                          const struct loading_plan *plan) {
    struct session_program program = loaded;
    program.print_table = victim_matrix_print;
    session->program = &program;
    hwloc_bitmap_t victims = hwloc_bitmap_dup(session->allowed);
    if (session->cpu.given)
        hwloc_bitmap_only(victims, (unsigned)session->cpu.value);
    const struct victim_matrix matrix = {
        .cpus = {victims, cpus, aggressors_option.given},
        .victim_memory = session->node.given ? (int)session->node.value : -1,
        .aggressor_memory = aggressor_memory_option.given ? (int)aggressor_memory_option.value : -1,
        .curves = curves_option.given,
        .plan = plan,
    };
    int status = victim_matrix_run(session, &matrix);
    session->program = &loaded;
    hwloc_bitmap_free(victims);
    return status;
}

/* The matrix looks at every node itself. */
static bool has_room(const struct session *session, int *status) {
    uint64_t blocks = aggressor_memory_option.given ? 1 : BLOCKS;
    return matrix_option.given || session_check_room(session, blocks * session->size.value, status);
}

int main(int argc, char **argv) {
    struct session session;
    struct loading_plan plan;
    int status;
    if (!session_start(&session, &loaded, argc, argv, &status))
        return status;
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    if (!read_mix(&session, &plan)) {
        status = SESSION_BAD_USAGE;
    } else if (has_room(&session, &status) && check_memory(&session, &status) &&
               choose_aggressors(&session, cpus, &status)) {
        if (!matrix_option.given)
            session.threads.value = 1 + (uint64_t)hwloc_bitmap_weight(cpus);
        status = matrix_option.given ? measure_matrix(&session, cpus, &plan)
                                     : measure_curve(&session, cpus, &plan);
    }
    hwloc_bitmap_free(cpus);
    session_end(&session);
    return status;
}
