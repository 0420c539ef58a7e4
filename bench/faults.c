/* What it costs to get memory: the first touch of a page, by way, page size, node and threads. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "page_kind.h"
#include "placement.h"
#include "session.h"
#include "topology.h"
#include "units.h"
#include "warmup.h"

#define DEFAULT_SIZE_BYTES ((uint64_t)64 << 20)

static struct option_value size_option, nodes_option, pages_option, threads_option, variants_option;

static const struct option_row own_options[] = {
    {"size", "SIZE", "bytes that each thread gets, in whole pages (default: 64M)", OPTION_SIZE,
     64 << 10, (uint64_t)1 << 40, &size_option},
    {"nodes", "LIST", "memory nodes to get them on, such as 0,2-3 (default: all with memory)",
     OPTION_TEXT, 0, 0, &nodes_option},
    {"pages", "LIST",
     "page sizes: base, thp, 2M, 1G, with commas (default: all that are to be had)", OPTION_TEXT, 0,
     0, &pages_option},
    {"threads", "LIST",
     "numbers of threads, such as 1-4,8, each thread on a CPU of its own: --cpu, then those\n"
     "of its node, then others (default: 1, and as many as this process may use CPUs)",
     OPTION_TEXT, 0, 0, &threads_option},
    {"variants", "LIST", "write, populate, read, malloc, with commas (default: all)", OPTION_TEXT,
     0, 0, &variants_option},
};

static void print_table(const struct session *session, const struct series *series, size_t count);

static const struct session_program faults = {
    .name = "faults",
    .metric = "fault_cost",
    .unit = "ns",
    .about =
        "What it costs to get memory, in ns (1 ns = 1e-9 s) a page and GB/s (1 GB = 1e9 bytes).\n"
        "  write     store to a byte of each page of a new mapping\n"
        "  populate  have the kernel do so in one call a thread (MADV_POPULATE_WRITE)\n"
        "  read      load from each page: the kernel's one page of zeros, so no memory of a node\n"
        "  malloc    malloc a block a thread and store to each base page of it: what the allocator\n"
        "            in use does, preloaded ones included, with pages it has kept or new ones\n"
        "All but malloc pass malloc by: mmap of anonymous memory, one mapping for all threads, a\n"
        "slice each, bound to the node by mbind (read: not bound). --pages base is without (and thp\n"
        "with) transparent huge pages, by madvise; 2M and 1G are reserved ones (MAP_HUGETLB).\n"
        "Counted, for each page of that size:\n"
        "  fault_cost       a thread's time to touch its pages; for malloc, with malloc itself\n"
        "  fault_bandwidth  bytes of all threads, over the first one's start to the last one's end\n"
        "  zero_again       a thread's time to write all of the page once more (memset): what of\n"
        "                   fault_cost is zeroing, the rest being the fault\n"
        "  unmap_cost       munmap's time, by one thread; for malloc, free's\n"
        "Pages come from the kernel's free lists as they are, often still in the cache.\n"
        "Checked: the page faults of the threads are as many as the pages; the kernel says that the\n"
        "pages are on the node and of that size. A fault is no disturbance here (see below). In\n"
        "--csv size_bytes is of all threads.\n",
    .sizeless = true,
    .nodeless = true,
    .min_sample_ms = 20,
    .own_options = own_options,
    .own_option_count = sizeof own_options / sizeof own_options[0],
    .print_table = print_table,
};

enum metric { FAULT_COST, FAULT_BANDWIDTH, ZERO_AGAIN, UNMAP_COST, METRICS };

static const struct {
    const char *name, *unit;
} metrics[METRICS] = {
    [FAULT_COST] = {"fault_cost", "ns"},
    [FAULT_BANDWIDTH] = {"fault_bandwidth", "GB/s"},
    [ZERO_AGAIN] = {"zero_again", "ns"},
    [UNMAP_COST] = {"unmap_cost", "ns"},
};

#define TEXT_BYTES 128

/* One way of getting memory, measured. */
struct figure {
    struct fault_plan plan;
    int mem_node; /* negative: none, or several */
    size_t threads;
    const char *pages;
    struct placement_verdict placement;
    char policy[32], pages_on_nodes[TEXT_BYTES], proof[TEXT_BYTES];
    char failed[TEXT_BYTES + 32]; /* why there is none; empty: it is measured */
    struct series series[METRICS];
};

struct bench {
    struct session session; /* first: print_table is given its address */
    const struct fault_variant *variants[FAULT_VARIANTS];
    enum page_kind kinds[PAGE_KINDS];
    size_t variant_count, kind_count;
    hwloc_bitmap_t nodes, threads;
    bool bindable;
    hwloc_bitmap_t skipped[PAGE_KINDS]; /* 1 + the nodes for which it is said */
    unsigned *cpus;                     /* those of the threads, in the order of their use */
    size_t cpu_count;
    struct fault_team team;
    size_t figure_count;
    struct figure *figures;
};

/* Where pages that are not bound are expected; NULL: on the node of the thread. */
static const struct placement_expected *expected_unbound(const struct bench *bench,
                                                         const struct figure *figure) {
    const struct memory_source *source = &bench->session.source;
    return figure->plan.variant->from_malloc && !source->first_touch ? &source->expected : NULL;
}

/* Of what kind the pages are, as the kernel says. */
static void look_at_pages(struct bench *bench, struct figure *figure) {
    const char *asked = page_kind_name(figure->plan.kind);
    if (figure->plan.variant->from_malloc) {
        for (size_t i = 0; i < figure->threads; i++)
            session_look_at_pages(&bench->session, &(void *){fault_slice(&bench->team, i)}, 1,
                                  figure->plan.slice_bytes);
        return;
    }
    const char *found = figure->plan.variant->written ? fault_pages_in_force(&bench->team) : NULL;
    if (found == NULL)
        return;
    figure->pages = found;
    if (strcmp(found, asked) != 0)
        snprintf(figure->failed, sizeof figure->failed, "the kernel gave %s pages, not %s", found,
                 asked);
}

/* Gets memory once more, untimed, and looks what it is and where. False with the reason in
 * figure->failed. */
static bool look(struct bench *bench, struct figure *figure, struct placement_verdict *placement) {
    struct fault_cost cost = {0};
    const char *why;
    if (!fault_get(&bench->team, &figure->plan, &cost, &why)) {
        snprintf(figure->failed, sizeof figure->failed, "%s", why);
        return false;
    }
    if (figure->plan.variant->written) {
        const struct placement_expected *unbound = expected_unbound(bench, figure);
        struct placement_expected bound;
        placement_expect_node(&bound, figure->plan.node);
        struct placement_tally tally = fault_ask(&bench->team, unbound);
        placement_list_nodes(&tally, figure->pages_on_nodes, sizeof figure->pages_on_nodes);
        *placement = placement_judge(&tally, unbound != NULL ? unbound : &bound);
    }
    look_at_pages(bench, figure);
    fault_give_back(&bench->team, &cost);
    return figure->failed[0] == '\0';
}

static double ns_a_page(uint64_t ns, const struct fault_cost *cost) {
    return (double)ns / (double)cost->pages;
}

/* Gets memory and gives it back. */
static bool cycle(struct bench *bench, struct figure *figure, struct fault_cost *cost) {
    const char *why;
    if (!fault_get(&bench->team, &figure->plan, cost, &why)) {
        snprintf(figure->failed, sizeof figure->failed, "%s", why);
        return false;
    }
    fault_give_back(&bench->team, cost);
    return true;
}

static bool warm_up(struct bench *bench, struct figure *figure) {
    struct warmup warmup = {0};
    struct fault_cost cost;
    do {
        cost = (struct fault_cost){0};
        if (!cycle(bench, figure, &cost))
            return false;
    } while (
        !warmup_add(&warmup, ns_a_page(cost.touch_ns, &cost), bench->session.precision.fraction));
    return true;
}

static bool take_samples(struct bench *bench, struct figure *figure, struct fault_cost *all) {
    const struct session *session = &bench->session;
    while (!session_enough(session, &figure->series[FAULT_COST])) {
        struct sample sample = {.started_at = time(NULL)};
        struct fault_cost cost = {0};
        while (cost.wall_ns < session_min_sample_ns(session))
            if (!cycle(bench, figure, &cost))
                return false;
        const double values[METRICS] = {
            [FAULT_COST] = ns_a_page(cost.touch_ns, &cost),
            [FAULT_BANDWIDTH] = (double)cost.bytes / (double)cost.wall_ns, /* B/ns = GB/s */
            [ZERO_AGAIN] = ns_a_page(cost.zero_ns, &cost),
            [UNMAP_COST] = ns_a_page(cost.free_ns, &cost),
        };
        sample.disturbed = cost.disturbed;
        for (size_t i = 0; i < METRICS; i++) {
            sample.value = values[i];
            series_add(&figure->series[i], &sample);
        }
        fault_cost_add(all, &cost);
    }
    return true;
}

/* Measures, or leaves the reason in figure->failed. */
static void measure_figure(struct bench *bench, struct figure *figure) {
    struct placement_verdict before = {.status = PLACEMENT_UNVERIFIED}, after = before;
    struct fault_cost all = {0};
    figure->placement = before;
    if (!warm_up(bench, figure) || !look(bench, figure, &before) ||
        !take_samples(bench, figure, &all) || !look(bench, figure, &after))
        return;
    figure->placement = placement_worse(before, after);
    snprintf(figure->proof, TEXT_BYTES, "%" PRIu64 " page faults for %" PRIu64 " pages", all.faults,
             all.pages);
    if (fault_is_counted(&figure->plan) && !fault_cost_is_whole(&all))
        snprintf(figure->failed, sizeof figure->failed, "%s: not one each", figure->proof);
    if (all.absent > 0)
        snprintf(figure->failed, sizeof figure->failed,
                 "base pages for some huge ones: %" PRIu64 " were not there after the touch",
                 all.absent);
}

/* Why there is no such memory to be had, or "". A node that is filled would get the process
 * killed, and so would a reserved page that is not there. */
static void check_room(const struct bench *bench, const struct figure *figure,
                       char why[TEXT_BYTES]) {
    const struct fault_plan *plan = &figure->plan;
    int node = plan->node >= 0 ? plan->node : bench->session.cpu_node;
    bool reserved = plan->kind == PAGE_2M || plan->kind == PAGE_1G;
    uint64_t wanted = plan->slice_bytes * figure->threads;
    bool elsewhere = plan->node < 0 && topology_touched_node(bench->session.topology, node) != node;
    uint64_t room = elsewhere ? UINT64_MAX : fault_free_bytes(FAULT_NODE_ROOT, node, plan->kind);
    why[0] = '\0';
    if (plan->kind == PAGE_THP && !fault_thp_is_allowed(FAULT_THP_FILE))
        snprintf(why, TEXT_BYTES, "transparent huge pages are off (%s)", FAULT_THP_FILE);
    else if (reserved && room == UINT64_MAX)
        snprintf(why, TEXT_BYTES, "the kernel has no such pages for node %d", node);
    else if (reserved && wanted > room)
        snprintf(why, TEXT_BYTES,
                 "%" PRIu64 " reserved on node %d are free, %" PRIu64 " are wanted",
                 room / page_kind_bytes(plan->kind), node, wanted / page_kind_bytes(plan->kind));
    else if (!reserved && wanted > room / 2)
        snprintf(why, TEXT_BYTES,
                 "%" PRIu64 "M are wanted, over half of the %" PRIu64 "M that are free on node %d",
                 wanted >> 20, room >> 20, node);
}

/* Once a page size and node, not for each variant and number of threads. */
static void say_skipped(struct bench *bench, const struct fault_plan *plan, const char *why) {
    unsigned node = (unsigned)(plan->node + 1);
    if (!hwloc_bitmap_isset(bench->skipped[plan->kind], node))
        session_say(&bench->session, "%s pages, skipped: %s", page_kind_name(plan->kind), why);
    hwloc_bitmap_set(bench->skipped[plan->kind], node);
}

/* Adds a figure unless such memory is not to be had. */
static void add_figure(struct bench *bench, const struct fault_plan *plan) {
    struct session *session = &bench->session;
    struct figure *figure = &bench->figures[bench->figure_count];
    size_t page_bytes = page_kind_bytes(plan->kind);
    char why[TEXT_BYTES];
    *figure = (struct figure){.plan = *plan, .threads = bench->team.crew.size};
    figure->plan.slice_bytes = (plan->slice_bytes + page_bytes - 1) / page_bytes * page_bytes;
    figure->pages = page_kind_name(plan->kind);
    figure->mem_node = plan->node;
    snprintf(figure->policy, sizeof figure->policy, plan->node >= 0 ? "bind:%d" : "none",
             plan->node);
    if (plan->node < 0 && plan->variant->written && figure->threads == 1)
        figure->mem_node = session->cpu_node;
    if (plan->variant->from_malloc) {
        figure->pages = session->source.pages;
        if (!session->source.first_touch)
            figure->mem_node = session->source.node;
    }
    check_room(bench, figure, why);
    if (why[0] != '\0') {
        say_skipped(bench, plan, why);
        return;
    }
    measure_figure(bench, figure);
    bench->figure_count++;
}

/* All page sizes and nodes that go with a variant. */
static void add_variant(struct bench *bench, const struct fault_variant *variant) {
    struct fault_plan plan = {variant, PAGE_BASE, -1, size_option.value};
    if (variant->from_malloc) {
        add_figure(bench, &plan);
        return;
    }
    for (size_t i = 0; i < bench->kind_count; i++) {
        plan.kind = bench->kinds[i];
        plan.node = -1;
        bool reserved = plan.kind == PAGE_2M || plan.kind == PAGE_1G;
        if (!variant->written && reserved)
            continue; /* reading them gets memory, as writing does */
        if (!variant->written || !bench->bindable) {
            add_figure(bench, &plan);
            continue;
        }
        for (plan.node = hwloc_bitmap_first(bench->nodes); plan.node >= 0;
             plan.node = hwloc_bitmap_next(bench->nodes, plan.node))
            add_figure(bench, &plan);
    }
}

static void label(const struct figure *figure, struct series *series, enum metric metric) {
    bool from_malloc = figure->plan.variant->from_malloc;
    series->variant = figure->plan.variant->name;
    series->metric = metrics[metric].name;
    series->unit = metrics[metric].unit;
    series->mem_node = &figure->mem_node;
    series->threads = (unsigned)figure->threads;
    series->size_bytes = figure->plan.slice_bytes * figure->threads;
    series->pages = figure->pages;
    series->placement = &figure->placement;
    series->proof = figure->proof;
    series->failed = figure->failed[0] != '\0' ? figure->failed : NULL;
    series->pages_on_nodes = figure->pages_on_nodes;
    if (!from_malloc) {
        series->allocator = "mmap";
        series->policy = figure->policy;
    }
}

/* Of a figure that failed one series says so; of one that is only read there is no memory. */
static bool has(const struct figure *figure, enum metric metric) {
    if (figure->failed[0] != '\0')
        return metric == FAULT_COST;
    return figure->plan.variant->written || metric == FAULT_COST || metric == UNMAP_COST;
}

/* One line for all figures whose memory is not where it should be, or not known to be. */
static void warn(const struct bench *bench) {
    size_t misplaced = 0, unverified = 0;
    for (size_t i = 0; i < bench->figure_count; i++) {
        const struct figure *figure = &bench->figures[i];
        misplaced += figure->placement.status == PLACEMENT_FAILED;
        unverified +=
            figure->placement.status == PLACEMENT_UNVERIFIED && figure->placement.error != 0;
    }
    if (misplaced > 0)
        session_say(&bench->session, "warning: %zu of %zu figures are of memory on other nodes",
                    misplaced, bench->figure_count);
    if (unverified > 0)
        session_say(&bench->session,
                    "warning: for %zu of %zu figures the kernel would not say where the pages are",
                    unverified, bench->figure_count);
}

static int report(struct bench *bench) {
    struct series *series = calloc(bench->figure_count * METRICS, sizeof *series);
    size_t count = 0, measured = 0;
    if (series == NULL)
        return session_fail(&bench->session, "", "no memory for the report");
    for (size_t i = 0; i < bench->figure_count; i++) {
        measured += bench->figures[i].failed[0] == '\0';
        for (enum metric metric = 0; metric < METRICS; metric++)
            if (has(&bench->figures[i], metric)) {
                series[count] = bench->figures[i].series[metric];
                label(&bench->figures[i], &series[count++], metric);
            }
    }
    struct placement_verdict verdict = {.status = PLACEMENT_VERIFIED};
    int status = session_report(&bench->session, series, count, verdict);
    warn(bench);
    for (size_t i = 0; i < count; i++)
        series_free(&series[i]);
    free(series);
    return measured > 0 ? status : SESSION_NOT_MEASURED;
}

static int measure(struct bench *bench) {
    struct session *session = &bench->session;
    size_t most = (size_t)hwloc_bitmap_weight(bench->threads) * bench->variant_count *
                  bench->kind_count * (size_t)(hwloc_bitmap_weight(bench->nodes) + 1);
    bench->figures = calloc(most, sizeof *bench->figures);
    if (bench->figures == NULL)
        return session_fail(session, "", "no memory for the list of figures");
    for (int threads = hwloc_bitmap_first(bench->threads); threads > 0;
         threads = hwloc_bitmap_next(bench->threads, threads)) {
        int error = fault_team_start(&bench->team, session->topology, bench->cpus, (size_t)threads,
                                     &session->watch);
        if (error != 0) {
            session_fail(session, "", "cannot start %d pinned threads: %s", threads,
                         strerror(error));
            exit(SESSION_NOT_MEASURED);
        }
        for (size_t i = 0; i < bench->variant_count; i++)
            add_variant(bench, bench->variants[i]);
        fault_team_end(&bench->team);
    }
    int status = bench->figure_count > 0
                     ? report(bench)
                     : session_fail(session, "", "no such memory is to be had here");
    free(bench->figures);
    return status;
}

/* A figure's medians beside each other; its series begin at `series`. */
static void print_row(const struct figure *figure, const struct series *series) {
    char text[METRICS][UNITS_FIGURE_TEXT] = {"-", "-", "-", "-"}, node[16] = "-";
    char interval[SESSION_INTERVAL_TEXT];
    struct stats_summary cost = series_summary(series);
    if (figure->mem_node >= 0)
        snprintf(node, sizeof node, "%d", figure->mem_node);
    for (enum metric metric = 0; metric < METRICS; metric++)
        if (has(figure, metric))
            units_format_figure(series_summary(series++).median, text[metric]);
    printf("%-8s %-7s %4s %7zu %10s %20s %10s %10s %8s  %s (%s)\n", figure->plan.variant->name,
           figure->pages, node, figure->threads, text[FAULT_COST],
           session_interval(&cost, interval), text[ZERO_AGAIN], text[UNMAP_COST],
           text[FAULT_BANDWIDTH],
           figure->plan.variant->written ? placement_status_name(figure->placement.status)
                                         : "of no node",
           figure->proof);
}

/* A row a figure. */
static void print_table(const struct session *session, const struct series *series, size_t count) {
    const struct bench *bench = (const struct bench *)session;
    char size[UNITS_SIZE_TEXT];
    (void)count;
    printf("first touch from CPU %u (node %d), %s bytes a thread; ns a page, medians\n",
           session->cpus[0], session->cpu_node, units_format_size(size_option.value, size));
    printf("%-8s %-7s %4s %7s %10s %20s %10s %10s %8s  %s\n", "variant", "pages", "node", "threads",
           "fault_cost", "95 % interval", "zero_again", "unmap_cost", "GB/s", "checked");
    for (size_t i = 0; i < bench->figure_count; i++) {
        const struct figure *figure = &bench->figures[i];
        if (figure->failed[0] != '\0')
            printf("%-8s %-7s failed: %s\n", figure->plan.variant->name, figure->pages,
                   figure->failed);
        else
            print_row(figure, series);
        for (enum metric metric = 0; metric < METRICS; metric++)
            series += has(figure, metric);
    }
}

static bool bad(const struct bench *bench, const char *option, const char *text,
                const char *accepted) {
    session_say(&bench->session, "--%s: '%.40s' is not accepted; %s", option, text, accepted);
    return false;
}

static bool add_name_of_variant(void *context, const char *name, size_t length) {
    struct bench *bench = context;
    const struct fault_variant *variant = fault_find(name, length);
    for (size_t i = 0; i < bench->variant_count; i++)
        if (bench->variants[i] == variant)
            return false;
    if (variant != NULL)
        bench->variants[bench->variant_count++] = variant;
    return variant != NULL;
}

static bool add_name_of_kind(void *context, const char *name, size_t length) {
    struct bench *bench = context;
    enum page_kind kind;
    if (!page_kind_parse(name, length, &kind))
        return false;
    for (size_t i = 0; i < bench->kind_count; i++)
        if (bench->kinds[i] == kind)
            return false;
    bench->kinds[bench->kind_count++] = kind;
    return true;
}

/* Reads --nodes. */
static bool choose_nodes(struct bench *bench) {
    char list[128], accepted[256];
    topology_usable_nodes(bench->session.topology, bench->nodes);
    if (!nodes_option.given)
        return true;
    hwloc_bitmap_t usable = hwloc_bitmap_dup(bench->nodes);
    bool ok = usable != NULL && topology_parse_cpus(nodes_option.text, bench->nodes) &&
              hwloc_bitmap_isincluded(bench->nodes, usable);
    hwloc_bitmap_list_snprintf(list, sizeof list, usable);
    hwloc_bitmap_free(usable);
    snprintf(accepted, sizeof accepted, "nodes to choose from: %s", list);
    return ok || bad(bench, "nodes", nodes_option.text, accepted);
}

/* Reads --threads. */
static bool choose_threads(struct bench *bench) {
    char accepted[128];
    if (!threads_option.given) {
        hwloc_bitmap_set(bench->threads, 1);
        hwloc_bitmap_set(bench->threads, (unsigned)bench->cpu_count);
        return true;
    }
    if (topology_parse_cpus(threads_option.text, bench->threads) &&
        !hwloc_bitmap_isset(bench->threads, 0) &&
        (size_t)hwloc_bitmap_last(bench->threads) <= bench->cpu_count)
        return true;
    snprintf(accepted, sizeof accepted, "numbers from 1 to %zu, the CPUs this process may use, are",
             bench->cpu_count);
    return bad(bench, "threads", threads_option.text, accepted);
}

/* The measuring CPU, the others of its node, and the rest. False when there is no memory. */
static bool list_cpus(struct bench *bench) {
    const struct session *session = &bench->session;
    hwloc_bitmap_t rest = hwloc_bitmap_dup(session->allowed), near = hwloc_bitmap_dup(rest);
    bench->cpus = calloc((size_t)hwloc_bitmap_weight(session->allowed) + 1, sizeof *bench->cpus);
    bool ok = rest != NULL && near != NULL && bench->cpus != NULL;
    if (ok) {
        bench->cpus[bench->cpu_count++] = session->cpus[0];
        topology_keep_node(session->topology, session->cpu_node, near);
        hwloc_bitmap_clr(near, session->cpus[0]);
        hwloc_bitmap_clr(rest, session->cpus[0]);
        hwloc_bitmap_andnot(rest, rest, near);
        for (int cpu = hwloc_bitmap_first(near); cpu >= 0; cpu = hwloc_bitmap_next(near, cpu))
            bench->cpus[bench->cpu_count++] = (unsigned)cpu;
        for (int cpu = hwloc_bitmap_first(rest); cpu >= 0; cpu = hwloc_bitmap_next(rest, cpu))
            bench->cpus[bench->cpu_count++] = (unsigned)cpu;
    }
    hwloc_bitmap_free(rest);
    hwloc_bitmap_free(near);
    return ok;
}

/* Whether mappings can be bound to nodes here, by trying; without, the first touch decides. */
static bool try_to_bind(struct bench *bench) {
    const char *why = "no node with memory is known (/sys)";
    int node = hwloc_bitmap_first(bench->nodes);
    void *memory = node >= 0 ? page_kind_map(PAGE_BASE, 1, node, &why) : NULL;
    bench->bindable = memory != NULL;
    if (memory != NULL)
        page_kind_unmap(PAGE_BASE, memory, 1);
    else if (nodes_option.given)
        session_fail(&bench->session, "", "cannot bind memory to a node: %s", why);
    else
        session_say(&bench->session,
                    "memory cannot be bound to a node (%s): each thread's first touch decides",
                    why);
    return bench->bindable || !nodes_option.given;
}

static bool choose(struct bench *bench, int *status) {
    *status = SESSION_NOT_MEASURED;
    if (!list_cpus(bench)) {
        session_say(&bench->session, "no memory for the list of CPUs");
        return false;
    }
    *status = SESSION_BAD_USAGE;
    if (!size_option.given)
        size_option.value = DEFAULT_SIZE_BYTES;
    const char *variants =
        variants_option.given ? variants_option.text : "write,populate,read,malloc";
    const char *kinds = pages_option.given ? pages_option.text : "base,thp,2M,1G";
    if (!options_each_word(variants, add_name_of_variant, bench))
        return bad(bench, "variants", variants, "write, populate, read and malloc are, each once");
    if (!options_each_word(kinds, add_name_of_kind, bench))
        return bad(bench, "pages", kinds, "base, thp, 2M and 1G are, each once");
    if (!choose_nodes(bench) || !choose_threads(bench))
        return false;
    *status = SESSION_NOT_MEASURED;
    return try_to_bind(bench);
}

int main(int argc, char **argv) {
    static struct bench bench;
    int status;
    if (!session_start(&bench.session, &faults, argc, argv, &status))
        return status;
    bench.nodes = hwloc_bitmap_alloc();
    bench.threads = hwloc_bitmap_alloc();
    for (size_t i = 0; i < PAGE_KINDS; i++)
        bench.skipped[i] = hwloc_bitmap_alloc();
    if (choose(&bench, &status))
        status = measure(&bench);
    hwloc_bitmap_free(bench.nodes);
    hwloc_bitmap_free(bench.threads);
    for (size_t i = 0; i < PAGE_KINDS; i++)
        hwloc_bitmap_free(bench.skipped[i]);
    free(bench.cpus);
    session_end(&bench.session);
    return status;
}
