#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pages.h"
#include "topology.h"
#include "units.h"
#include "warmup.h"

/* Most samples when they will not settle, how well the median is to be known, and the shortest
 * sample: 100 ms is far above the clock's
 * resolution and a few scheduler ticks long, so that one interrupt is no outlier. */
#define DEFAULT_MAX_SAMPLES   21
#define DEFAULT_PRECISION     0.01
#define DEFAULT_MIN_SAMPLE_MS 100

void session_say(const struct session *session, const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s: %s\n", session->program->name, line);
}

int session_current_node(void) {
    unsigned cpu, node;
    return getcpu(&cpu, &node) == 0 ? (int)node : -1;
}

static const char *min_sample_help(struct session *session) {
    snprintf(session->min_sample_help, sizeof session->min_sample_help,
             "shortest sample in milliseconds (default: %" PRIu64 ")",
             session->min_sample_ms.value);
    return session->min_sample_help;
}

/* From where and of what is measured. Returns how many rows there are. */
static size_t what_rows(struct session *session, struct option_row *rows) {
    const struct session_program *program = session->program;
    size_t count = 0;
    rows[count++] = (struct option_row){
        "cpu",
        "N",
        "logical CPU to measure from (default: the first that this process may use)",
        OPTION_COUNT,
        0,
        INT32_MAX,
        &session->cpu};
    if (!program->nodeless)
        rows[count++] =
            (struct option_row){"node",
                                "N",
                                "memory hand-placed on this node by libnuma, instead of malloc's\n"
                                "placement (the optimum to compare an allocator with)",
                                OPTION_COUNT,
                                0,
                                PLACEMENT_NODES - 1,
                                &session->node};
    if (!program->sizeless)
        rows[count++] = (struct option_row){"size",
                                            "SIZE",
                                            program->size_help,
                                            OPTION_SIZE,
                                            program->size_min_bytes,
                                            program->size_max_bytes,
                                            &session->size};
    if (program->fillable)
        rows[count++] = (struct option_row){
            "fill-cpu",
            "N",
            "logical CPU from which the memory is allocated and first written (default: the\n"
            "measuring one): remote memory without binding, for NUMA balancing to act on",
            OPTION_COUNT,
            0,
            INT32_MAX,
            &session->fill_cpu};
    return count;
}

static struct option_row threads_row(struct session *session) {
    bool or_auto = session->program->threads_auto;
    return (struct option_row){
        .name = "threads",
        .argument = or_auto ? "N|auto" : "N",
        .help =
            or_auto
                ? "threads, each pinned to one of the first N CPUs that this process may use\n"
                  "(default: 1; taskset -c LIST chooses which); auto: 1, 2, 4, ... and all of them,\n"
                  "then between, for the fewest that are enough"
                : "threads, each pinned to one of the first N CPUs that this process may use\n"
                  "(default: 1; taskset -c LIST chooses which)",
        .kind = or_auto ? OPTION_COUNT_OR_AUTO : OPTION_COUNT,
        .min = 1,
        .max = INT32_MAX,
        .value = &session->threads};
}

/* How long is measured, and what is printed. Returns how many rows there are. */
static size_t how_rows(struct session *session, struct option_row *rows) {
    const struct option_row list[] = {
        {"precision", "PERCENT",
         "samples are taken until the 95 % interval of their median is within this of it\n"
         "(default: 1), but at least 6, the fewest that have such an interval",
         OPTION_PERCENT, 0, 0, &session->precision},
        {"max-samples", "N", "and at most this many, disturbed ones included (default: 21)",
         OPTION_COUNT, 1, STATS_MAX_SAMPLES, &session->max_samples},
        {"min-sample-ms", "MS", min_sample_help(session), OPTION_COUNT, 1, 60000,
         &session->min_sample_ms},
        {"csv", NULL, "one row a sample on standard output, with a header", OPTION_FLAG, 0, 0,
         &session->csv},
        {"help", NULL, "this text", OPTION_FLAG, 0, 0, &session->help},
    };
    memcpy(rows, list, sizeof list);
    return sizeof list / sizeof list[0];
}

static size_t option_rows(struct session *session, struct option_row rows[OPTIONS_MAX]) {
    const struct session_program *program = session->program;
    size_t count = what_rows(session, rows);
    if (program->threaded)
        rows[count++] = threads_row(session);
    for (size_t i = 0; i < program->own_option_count; i++)
        rows[count++] = program->own_options[i];
    return count + how_rows(session, rows + count);
}

static void show_help(const struct session *session, const struct option_row *rows, size_t count) {
    printf("Usage: bench/%s [OPTION...]\n%s\nOptions (SIZE takes K, M, G, 1024-based):\n",
           session->program->name, session->program->about);
    options_help(stdout, rows, count);
    if (!session->program->nodeless)
        printf(
            "\nMemory comes from malloc: preload an allocator to measure its placement.\n"
            "pages: what is in force of NUMA_ALLOC_PAGES; mixed where only some are of that size.");
    printf(
        "\nThe kernel is asked where the pages are before and after (verified: 99.9 %% on the expected\n"
        "nodes, and on each of them its share, within 5 %% of all, under interleave and weighted).\n"
        "Time is CLOCK_MONOTONIC_RAW. A sample during which its thread was preempted, moved or\n"
        "faulted, or for which clocks disagree, is marked (disturbed) and left out of the median;\n"
        "they count only where fewer than 6 samples are unmarked (stopped_by: disturbed).\n"
        "Columns and statuses of a row: docs/BENCHMARKS.md. Exit status: 0 measured, 1 could not\n"
        "measure, 2 bad usage.\n");
}

/* "0-3,8", or the reason there is no such text. */
static void list_ids(hwloc_const_bitmap_t ids, char *text, size_t size) {
    if (hwloc_bitmap_iszero(ids) || hwloc_bitmap_list_snprintf(text, size, ids) < 0)
        snprintf(text, size, "none");
}

static bool refuse(const struct session *session, int *status, int with, const char *line) {
    session_say(session, "%s", line);
    *status = with;
    return false;
}

/* Chooses session->cpus among the CPUs the process may use. */
static bool choose_cpus(struct session *session, hwloc_const_bitmap_t allowed, int *status) {
    char line[256], list[128];
    list_ids(allowed, list, sizeof list);
    int usable = hwloc_bitmap_weight(allowed);
    session->threads_auto = session->threads.value == 0;
    if (session->threads_auto)
        session->threads.value = usable > 0 ? (uint64_t)usable : 1;
    size_t threads = session->threads.value;
    if (session->cpu.given && (threads > 1 || session->threads_auto))
        return refuse(session, status, SESSION_BAD_USAGE,
                      "--cpu names one CPU; for more --threads use taskset -c LIST");
    if (session->cpu.given && !hwloc_bitmap_isset(allowed, (unsigned)session->cpu.value)) {
        snprintf(line, sizeof line, "--cpu: %" PRIu64 " is not a CPU this process may use: %s",
                 session->cpu.value, list);
        return refuse(session, status, SESSION_BAD_USAGE, line);
    }
    if (usable < 0 || threads > (size_t)usable) {
        snprintf(line, sizeof line,
                 "--threads: %zu is more than the %d CPUs this process may use: %s", threads,
                 usable, list);
        return refuse(session, status, SESSION_BAD_USAGE, line);
    }
    session->cpus = calloc(threads, sizeof *session->cpus);
    if (session->cpus == NULL)
        return refuse(session, status, SESSION_NOT_MEASURED, "no memory for the list of CPUs");
    int cpu = session->cpu.given ? (int)session->cpu.value : hwloc_bitmap_first(allowed);
    for (size_t i = 0; i < threads; i++, cpu = hwloc_bitmap_next(allowed, cpu))
        session->cpus[i] = (unsigned)cpu;
    return true;
}

/* Pins the calling thread; returns 0 or an errno. */
static int pin(const struct session *session, unsigned cpu) {
    hwloc_bitmap_t only = hwloc_bitmap_alloc();
    if (only == NULL)
        return ENOMEM;
    hwloc_bitmap_only(only, cpu);
    int error = 0;
    if (hwloc_set_cpubind(session->topology, only, HWLOC_CPUBIND_THREAD) != 0)
        error = errno;
    hwloc_bitmap_free(only);
    return error;
}

static bool pin_or_refuse(const struct session *session, unsigned cpu, int *status) {
    char line[256];
    int error = pin(session, cpu);
    if (error == 0)
        return true;
    snprintf(line, sizeof line, "cannot pin to CPU %u: %s", cpu, strerror(error));
    return refuse(session, status, SESSION_NOT_MEASURED, line);
}

static bool pin_to_cpu(struct session *session, int *status) {
    session->allowed = hwloc_bitmap_alloc();
    if (session->allowed == NULL ||
        hwloc_get_cpubind(session->topology, session->allowed, HWLOC_CPUBIND_THREAD) != 0) {
        char line[256];
        snprintf(line, sizeof line, "cannot ask which CPUs may be used: %s", strerror(errno));
        return refuse(session, status, SESSION_NOT_MEASURED, line);
    }
    if (!choose_cpus(session, session->allowed, status) ||
        !pin_or_refuse(session, session->cpus[0], status))
        return false;
    /* The kernel's own answer: hwloc also calls a CPU-less node near this CPU local to it. */
    session->cpu_node = session_current_node();
    return true;
}

/* Any CPU that the kernel lets this process use will do: taskset names the one to measure from. */
static bool go_to_fill_cpu(struct session *session, int *status) {
    if (!session->fill_cpu.given)
        return true;
    hwloc_const_bitmap_t usable = hwloc_topology_get_allowed_cpuset(session->topology);
    if (hwloc_bitmap_isset(usable, (unsigned)session->fill_cpu.value))
        return pin_or_refuse(session, (unsigned)session->fill_cpu.value, status);
    char line[256], list[128];
    list_ids(usable, list, sizeof list);
    snprintf(line, sizeof line, "--fill-cpu: %" PRIu64 " is not a CPU to choose from: %s",
             session->fill_cpu.value, list);
    return refuse(session, status, SESSION_BAD_USAGE, line);
}

int session_leave_fill_cpu(const struct session *session) {
    return session->fill_cpu.given ? pin(session, session->cpus[0]) : 0;
}

/* Fails unless --node is one that memory can be asked for on. */
static bool check_node(const struct session *session, hwloc_const_bitmap_t usable, int *status) {
    static const char *const reasons[] = {
        [TOPOLOGY_NODE_UNKNOWN] = "is not a node of this machine",
        [TOPOLOGY_NODE_NO_MEMORY] = "is a node without memory",
        [TOPOLOGY_NODE_NOT_ALLOWED] = "is a node this process may not use (cpuset)",
    };
    enum topology_node answer =
        topology_check_node(session->topology, (unsigned)session->node.value);
    /* With no node's memory known (a masked /sys) the kernel judges, when memory is asked for. */
    if (answer == TOPOLOGY_NODE_USABLE || hwloc_bitmap_iszero(usable))
        return true;
    char line[256], list[128];
    list_ids(usable, list, sizeof list);
    snprintf(line, sizeof line, "--node: %" PRIu64 " %s; nodes to choose from: %s",
             session->node.value, reasons[answer], list);
    return refuse(session, status, SESSION_BAD_USAGE, line);
}

static bool choose_memory(struct session *session, int *status) {
    hwloc_bitmap_t usable = hwloc_bitmap_alloc();
    if (usable == NULL)
        return refuse(session, status, SESSION_NOT_MEASURED, "no memory for the list of nodes");
    topology_usable_nodes(session->topology, usable);
    struct placement_expected all_nodes;
    placement_expect_node(&all_nodes, -1);
    for (int node = hwloc_bitmap_first(usable); node >= 0 && node < PLACEMENT_NODES;
         node = hwloc_bitmap_next(usable, node))
        all_nodes.weights[node] = 1;
    bool ok = !session->node.given || check_node(session, usable, status);
    int lowest = hwloc_bitmap_first(usable);
    hwloc_bitmap_free(usable);
    if (!ok)
        return false;
    struct memory_facts facts = {
        .libnuma_node = session->node.given ? (int)session->node.value : -1,
        .malloc_file = memory_malloc_file(),
        .policy = getenv("NUMA_ALLOC_POLICY"),
        .pages = getenv("NUMA_ALLOC_PAGES"),
        .min_size = getenv("NUMA_ALLOC_MIN_SIZE"),
        .lowest_memory_node = lowest >= 0 ? lowest : 0,
        .cpu_node = session_current_node(), /* of the CPU that fills the memory */
        .task_node = memory_task_node(),
        .all_nodes = &all_nodes,
    };
    memory_describe(&session->source, &facts);
    return true;
}

bool session_check_room(const struct session *session, uint64_t wanted_bytes, int *status) {
    int node = session->source.node;
    uint64_t node_bytes = node >= 0 ? topology_node_bytes(session->topology, (unsigned)node) : 0;
    if (node_bytes == 0 || wanted_bytes <= node_bytes)
        return true;
    char line[256], want[UNITS_SIZE_TEXT];
    snprintf(line, sizeof line, "%s are wanted, but node %d has %" PRIu64 "M in all; see --size",
             units_format_size(wanted_bytes, want), node, node_bytes >> 20);
    return refuse(session, status, SESSION_NOT_MEASURED, line);
}

/* The default is 4 x the last-level caches, STREAM's rule, so that few loads hit them. */
static bool choose_size(struct session *session, int *status) {
    if (session->program->sizeless)
        return true;
    uint64_t cache_bytes = topology_cache_bytes(session->topology);
    if (!session->size.given) {
        session->size.value = session->program->size_default_bytes;
        if (session->size.value < 4 * cache_bytes)
            session->size.value = 4 * cache_bytes;
        if (cache_bytes == 0)
            session_say(session, "the size of the caches is not known here; --size sets another");
    } else if (session->size.value < 4 * cache_bytes) {
        char cache[UNITS_SIZE_TEXT];
        uint64_t held_bytes = cache_bytes < session->size.value ? cache_bytes : session->size.value;
        snprintf(session->cached, sizeof session->cached,
                 "caches (%s) hold %.0f %% of --size; 4 x as much or more is of memory",
                 units_format_size(cache_bytes, cache),
                 100 * (double)held_bytes / (double)session->size.value);
    }
    return session->program->checks_room ||
           session_check_room(session, session->size.value * session->program->arrays, status);
}

bool session_start(struct session *session, const struct session_program *program, int argc,
                   char **argv, int *status) {
    *session = (struct session){
        .program = program,
        .threads.value = 1,
        .max_samples.value = DEFAULT_MAX_SAMPLES,
        .precision.fraction = DEFAULT_PRECISION,
        .min_sample_ms.value =
            program->min_sample_ms > 0 ? program->min_sample_ms : DEFAULT_MIN_SAMPLE_MS,
    };
    char error[OPTIONS_ERROR];
    struct option_row rows[OPTIONS_MAX];
    size_t count = option_rows(session, rows);
    if (!options_parse(rows, count, argc, argv, error))
        return refuse(session, status, SESSION_BAD_USAGE, error);
    if (session->help.given) {
        show_help(session, rows, count);
        *status = fflush(stdout) == 0 && !ferror(stdout) ? SESSION_MEASURED : SESSION_NOT_MEASURED;
        return false;
    }
    if (!topology_open(&session->topology))
        return refuse(session, status, SESSION_NOT_MEASURED, "hwloc cannot read this machine");
    if (pin_to_cpu(session, status) && go_to_fill_cpu(session, status) &&
        choose_memory(session, status) && choose_size(session, status)) {
        watch_calibrate(&session->watch);
        return true;
    }
    session_end(session);
    return false;
}

void session_look_at_pages(struct session *session, void *const *blocks, size_t count,
                           size_t block_bytes) {
    char *pages = session->source.pages;
    struct pages_tally tally = {0};
    bool unasked = strcmp(pages, "default") == 0;
    const char *asked = unasked ? "thp" : pages;
    FILE *smaps = fopen("/proc/self/smaps", "re");
    bool told = smaps != NULL;
    for (size_t i = 0; i < count && told; i++)
        told = pages_add(smaps, (uintptr_t)blocks[i], block_bytes, asked, &tally);
    if (smaps != NULL)
        fclose(smaps);
    const char *in_force = pages_in_force(&tally, asked);
    if (unasked) {
        if (told && tally.in_force > 0)
            snprintf(session->huge_pages, sizeof session->huge_pages,
                     "%.3g %% in transparent huge pages",
                     100 * (double)tally.in_force / (double)tally.bytes);
    } else if (!told) {
        session_say(session, "warning: whether pages are %s is not known: no /proc/self/smaps",
                    pages);
    } else if (strcmp(in_force, pages) != 0) {
        session_say(
            session,
            "warning: %.0f %% of the memory has the pages of NUMA_ALLOC_PAGES=%s: reported as "
            "pages %s",
            tally.bytes > 0 ? 100 * (double)tally.in_force / (double)tally.bytes : 0, pages,
            in_force);
        snprintf(pages, sizeof session->source.pages, "%s", in_force);
    }
}

struct placement_verdict session_judge(struct session *session,
                                       const struct placement_tally *before,
                                       const struct placement_tally *after) {
    placement_list_nodes(after, session->pages_on_nodes, sizeof session->pages_on_nodes);
    uint64_t moved = placement_moved(before, after);
    if (moved > 0 && placement_balancing_is_on(PLACEMENT_BALANCING_FILE))
        session_say(session,
                    "warning: %" PRIu64 " of %" PRIu64 " pages moved to another node while timing: "
                    "NUMA balancing is on; sysctl kernel.numa_balancing=0, or bind the memory",
                    moved, before->pages);
    const struct placement_expected *expected = &session->source.expected;
    return placement_worse(placement_judge(before, expected), placement_judge(after, expected));
}

uint64_t session_min_sample_ns(const struct session *session) {
    return session->min_sample_ms.value * 1000000;
}

uint64_t session_warmup_ns(const struct session *session) {
    return session_min_sample_ns(session) / WARMUP_PART;
}

bool session_enough(const struct session *session, const struct series *series) {
    return series_enough(series, session->max_samples.value, session->precision.fraction);
}

void session_end(struct session *session) {
    free(session->cpus);
    hwloc_bitmap_free(session->allowed);
    hwloc_topology_destroy(session->topology);
}
