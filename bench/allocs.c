/* Time of allocation: a set of workloads, each stressing malloc and free as some real programs do.
 */
#include <errno.h>
#include <inttypes.h>
#include <numa.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc_workloads/workloads.h"
#include "memory.h"
#include "options.h"
#include "samples.h"

enum { MEASURED = 0, NOT_MEASURED = 1, BAD_USAGE = 2 };

/* Far above any machine's CPUs, low enough that stamps tell the workers apart. */
#define THREADS_MAX 250

/* Any fixed number will do; fixed, so that two runs make the same calls. */
#define DEFAULT_SEED 20261122

#define DEFAULT_PAIR_BYTES 64

static const struct workload *const workloads[] = {
    &workload_small,
    &workload_mixed,
    &workload_lifo,
    &workload_fifo,
    &workload_server,
    &workload_producer_consumer,
    &workload_free_only,
    &workload_churn,
    &workload_false_sharing_active,
    &workload_false_sharing_passive,
    &workload_realloc,
    &workload_large,
    &workload_aligned,
    &workload_tree,
    &workload_hash,
    &workload_pair,
};
#define WORKLOADS (sizeof workloads / sizeof workloads[0])

struct options {
    struct option_value threads, operations, seconds, seed, size, csv, list, help;
};

static size_t option_rows(struct options *options, struct option_row rows[OPTIONS_MAX]) {
    const struct option_row all[] = {
        {"threads", "N", "threads (default: each workload's own, see --list)", OPTION_COUNT, 1,
         THREADS_MAX, &options->threads},
        {"operations", "N", "operations of all threads together (default: see --list)",
         OPTION_COUNT, 1, (uint64_t)1 << 48, &options->operations},
        {"seconds", "S", "go on for this long, instead of a number of operations", OPTION_COUNT, 1,
         86400, &options->seconds},
        {"seed", "N",
         "of the random numbers (default: 20261122); the same seed and operations make the\n"
         "same calls on each thread",
         OPTION_COUNT, 0, UINT64_MAX, &options->seed},
        {"size", "SIZE", "bytes of a block of the workload pair (default: 64)", OPTION_SIZE,
         BLOCK_MIN_BYTES, (uint64_t)1 << 30, &options->size},
        {"csv", NULL,
         "rows on standard output, with a header: ns_per_operation, wall_time (s) and\n"
         "peak_memory (bytes resident so far, of all workloads that ran before too)",
         OPTION_FLAG, 0, 0, &options->csv},
        {"list", NULL,
         "the workloads, one a line: name, default threads, fewest threads, default operations\n"
         "(of each thread that counts them), what it does",
         OPTION_FLAG, 0, 0, &options->list},
        {"help", NULL, "this text", OPTION_FLAG, 0, 0, &options->help},
    };
    memcpy(rows, all, sizeof all);
    return sizeof all / sizeof all[0];
}

static void show_help(const struct option_row *rows, size_t count) {
    printf("Usage: bench/allocs [OPTION...] [WORKLOAD...]\n"
           "Wall time of allocation in ns an operation (1 ns = 1e-9 s): from the first thread's "
           "start to\nthe last one's end, over the operations of all threads. Workloads (default: "
           "all):\n\n");
    for (size_t i = 0; i < WORKLOADS; i++)
        printf("  %-21s %s\n", workloads[i]->name, workloads[i]->about);
    printf("\nOptions (SIZE takes K, M, G, 1024-based):\n");
    options_help(stdout, rows, count);
    printf("\nMemory comes from malloc: preload an allocator to measure it. Every block's content "
           "is checked\nwhen it is freed. Exit status: 0 measured, 1 could not measure or the "
           "allocator is broken, 2 bad\nusage.\n");
}

static void show_list(void) {
    for (size_t i = 0; i < WORKLOADS; i++)
        printf("%-21s %u %u %9" PRIu64 " %s\n", workloads[i]->name, workloads[i]->threads,
               workloads[i]->threads_min, workloads[i]->operations, workloads[i]->about);
}

static int complain(int status, const char *line) {
    fprintf(stderr, "allocs: %s\n", line);
    return status;
}

static bool accepts_threads(const struct workload *workload, uint64_t threads) {
    return threads >= workload->threads_min &&
           (threads - workload->threads_min) % workload->threads_step == 0;
}

/* The workloads that are named, or all. Returns how many; 0 with the reason in error. */
static size_t choose(const struct options *options, const struct option_words *words,
                     const struct workload **chosen, char error[OPTIONS_ERROR]) {
    size_t count = 0;
    for (size_t i = 0; i < words->count; i++) {
        size_t at = 0;
        while (at < WORKLOADS && strcmp(workloads[at]->name, words->list[i]) != 0)
            at++;
        if (at == WORKLOADS) {
            snprintf(error, OPTIONS_ERROR, "'%.60s' is not a workload; --list lists them",
                     words->list[i]);
            return 0;
        }
        if (options->threads.given && !accepts_threads(workloads[at], options->threads.value)) {
            snprintf(error, OPTIONS_ERROR,
                     "--threads: %" PRIu64 " is not accepted by %s; %s, at least %u, is",
                     options->threads.value, workloads[at]->name,
                     workloads[at]->threads_step == 2 ? "an even number" : "a number",
                     workloads[at]->threads_min);
            return 0;
        }
        chosen[count++] = workloads[at];
    }
    if (words->count > 0)
        return count;
    for (size_t i = 0; i < WORKLOADS; i++) {
        if (!options->threads.given || accepts_threads(workloads[i], options->threads.value))
            chosen[count++] = workloads[i];
        else
            fprintf(stderr, "allocs: %s is left out: it does not run with %" PRIu64 " threads\n",
                    workloads[i]->name, options->threads.value);
    }
    return count;
}

/* The part of a row that all workloads share. */
static struct samples_row describe(struct memory_source *source, char *host, size_t host_size) {
    unsigned cpu = 0, node = 0;
    bool known = getcpu(&cpu, &node) == 0;
    struct memory_facts facts = {.libnuma_node = -1,
                                 .malloc_file = memory_malloc_file(),
                                 .policy = getenv("NUMA_ALLOC_POLICY"),
                                 .pages = getenv("NUMA_ALLOC_PAGES"),
                                 .cpu_node = known ? (int)node : -1,
                                 .task_node = MEMORY_NO_POLICY};
    if (numa_available() >= 0) {
        facts.task_node = memory_task_node();
        while (!numa_bitmask_isbitset(numa_all_nodes_ptr, (unsigned)facts.lowest_memory_node) &&
               facts.lowest_memory_node < numa_max_node())
            facts.lowest_memory_node++;
    }
    memory_describe(source, &facts);
    if (gethostname(host, host_size - 1) != 0)
        host[0] = '\0';
    return (struct samples_row){.host = host,
                                .bench = "allocs",
                                .cpu = cpu,
                                .cpu_node = facts.cpu_node,
                                .mem_node = source->node,
                                .other_cpu = -1,
                                .other_cpu_node = -1,
                                .other_mem_node = -1,
                                .allocator = source->allocator,
                                .policy = source->policy,
                                .pages = source->pages,
                                .placement = {.status = PLACEMENT_UNVERIFIED}};
}

/* The most memory that this process had resident so far, in bytes, as the kernel counts it; 0 when
 * it will not say. Not getrusage's: that includes what its parent had before the exec. */
static uint64_t peak_bytes(void) {
    FILE *status = fopen("/proc/self/status", "r");
    uint64_t kib = 0;
    char line[256];
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmHWM: %" SCNu64, &kib) == 1)
            break;
    if (status != NULL)
        fclose(status);
    return kib * 1024;
}

static void print_csv(const struct samples_row *shared, const struct run *run,
                      const struct run_result *result, time_t started_at) {
    struct samples_row row = *shared;
    row.variant = run->workload->name;
    row.threads = run->threads;
    row.size_bytes = run->size_bytes;
    row.started_at = started_at;
    row.metric = "ns_per_operation";
    row.unit = "ns";
    row.value = (double)result->wall_ns / (double)result->operations;
    samples_write_row(stdout, &row);
    row.metric = "wall_time";
    row.unit = "s";
    row.value = (double)result->wall_ns / 1e9;
    samples_write_row(stdout, &row);
    row.metric = "peak_memory";
    row.unit = "bytes";
    row.value = (double)peak_bytes();
    samples_write_row(stdout, &row);
}

static void print_line(const struct run *run, const struct run_result *result) {
    printf("%-21s %7u %9.4f %12" PRIu64 " %10.2f\n", run->workload->name, run->threads,
           (double)result->wall_ns / 1e9, result->operations,
           (double)result->wall_ns / (double)result->operations);
}

static int measure(const struct options *options, const struct workload *const *chosen,
                   size_t count) {
    struct memory_source source;
    char host[256] = "";
    struct samples_row shared = describe(&source, host, sizeof host);
    if (options->csv.given)
        samples_write_header(stdout);
    else
        printf("allocator %s, policy %s, pages %s\n%-21s %7s %9s %12s %10s\n", source.allocator,
               source.policy, source.pages, "workload", "threads", "wall s", "operations", "ns/op");
    for (size_t i = 0; i < count; i++) {
        struct run run = {
            .workload = chosen[i],
            .threads =
                options->threads.given ? (unsigned)options->threads.value : chosen[i]->threads,
            .seed = options->seed.value,
            .duration_ns = options->seconds.value * UINT64_C(1000000000),
            .size_bytes = chosen[i] == &workload_pair ? options->size.value : 0,
        };
        if (options->operations.given)
            run.operations = options->operations.value;
        else if (!options->seconds.given)
            run.operations = chosen[i]->operations * workload_sharers(chosen[i], run.threads);
        time_t started_at = time(NULL);
        struct run_result result = workload_run(&run);
        if (options->csv.given)
            print_csv(&shared, &run, &result, started_at);
        else
            print_line(&run, &result);
        if (fflush(stdout) != 0 || ferror(stdout)) {
            fprintf(stderr, "allocs: cannot write the results: %s\n", strerror(errno));
            return NOT_MEASURED;
        }
    }
    return MEASURED;
}

int main(int argc, char **argv) {
    struct options options = {.seed.value = DEFAULT_SEED, .size.value = DEFAULT_PAIR_BYTES};
    struct option_row rows[OPTIONS_MAX];
    size_t rows_count = option_rows(&options, rows);
    const char *list[argc > 0 ? argc : 1];
    struct option_words words = {.list = list};
    char error[OPTIONS_ERROR];
    if (!options_parse_words(rows, rows_count, argc, argv, &words, error))
        return complain(BAD_USAGE, error);
    if (options.help.given || options.list.given) {
        if (options.help.given)
            show_help(rows, rows_count);
        else
            show_list();
        return fflush(stdout) == 0 && !ferror(stdout)
                   ? MEASURED
                   : complain(NOT_MEASURED, "cannot write to standard output");
    }
    if (options.operations.given && options.seconds.given)
        return complain(BAD_USAGE, "--operations and --seconds exclude each other; give one");
    const struct workload *chosen[WORKLOADS + (size_t)(argc > 0 ? argc : 1)];
    size_t count = choose(&options, &words, chosen, error);
    if (count == 0)
        return complain(BAD_USAGE, error);
    return measure(&options, chosen, count);
}
