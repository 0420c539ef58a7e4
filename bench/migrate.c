/* Page migration: how fast pages move from node to node, and what a load costs meanwhile. */
#include <ctype.h>
#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "migration_run.h"
#include "ring.h"
#include "topology.h"
#include "units.h"

#define DEFAULT_SIZE_BYTES ((uint64_t)256 << 20)
#define DEFAULT_BATCHES    "1,8,64,512,4096,all"

/* How long the second thread may take to come to run. */
#define START_PATIENCE_NS 5000000000u

static struct {
    struct option_value from, to, size, pages, calls, batch, no_latency;
} request = {.size.value = DEFAULT_SIZE_BYTES};

static const struct option_row own_options[] = {
    {"from", "N", "node that pages leave (default: every node with memory)", OPTION_COUNT, 0,
     PLACEMENT_NODES - 1, &request.from},
    {"to", "N", "node that they are moved to (default: every other node with memory)", OPTION_COUNT,
     0, PLACEMENT_NODES - 1, &request.to},
    {"size", "SIZE",
     "memory that is moved (default: 256M, for latency 4 x all last-level caches if\n"
     "larger, at most a quarter of a node; of reserved pages no more than there are)",
     OPTION_SIZE, 64 << 10, RING_MAX_BYTES, &request.size},
    {"pages", "LIST",
     "page sizes out of base, thp, 2M and 1G\n"
     "(default: base, thp, and 2M if such are reserved)",
     OPTION_TEXT, 0, 0, &request.pages},
    {"calls", "LIST", "out of move_pages and mbind (default: both)", OPTION_TEXT, 0, 0,
     &request.calls},
    {"batch", "LIST",
     "pages that each call moves, such as 1,64,all; a huge page is one\n"
     "(default: " DEFAULT_BATCHES ")",
     OPTION_TEXT, 0, 0, &request.batch},
    {"no-latency", NULL, "measure only how fast pages move", OPTION_FLAG, 0, 0,
     &request.no_latency},
};

static const struct session_program migrate = {
    .name = "migrate",
    .metric = METRIC_BANDWIDTH,
    .unit = "GB/s",
    .about =
        "Page migration between nodes, by move_pages(2) and by mbind(2) with MPOL_MF_MOVE:\n"
        "  migration_bandwidth  GB/s (1 GB = 1e9 bytes): bytes of the pages moved over the time\n"
        "                       that the calls took, on the CPU that measures\n"
        "  migration_cost       ns a page: the same time over the pages; a huge page is one\n"
        "  latency_idle         ns a load on a ring in random order through the memory, at rest on\n"
        "                       a node\n"
        "  latency_during       the same while another CPU has its pages moved back and forth: a\n"
        "                       load that hits a page on its way waits for it. Each in spans of 64\n"
        "                       loads: the median span, with _p99 the 99th of 100 spans, with _mean\n"
        "                       all loads. Fails when under half of the pages asked for moved\n"
        "The memory is mapped, not malloc's. After each move the kernel is asked for every page; a\n"
        "sample of which over 0.1 % did not arrive has failed. A sample ends after --min-sample-ms\n"
        "even if pages are left; those are not counted. That a move was preempted is not held\n"
        "against it, nor page faults against latency_during: both belong to migration.\n"
        "Some minutes a pair of nodes; --from, --to, --pages, --calls and --batch take less.\n",
    .sizeless = true,
    .nodeless = true,
    .own_options = own_options,
    .own_option_count = sizeof own_options / sizeof own_options[0],
    .print_table = migration_print_table,
};

static void measure_pair(struct migration_run *run, enum page_kind kind,
                         const struct migration_pair *pair) {
    for (int call = 0; call < MIGRATION_CALLS; call++) {
        struct migration_batches batches;
        size_t size_bytes = run->size_bytes, reserved = migration_reserved_bytes(kind);
        if (reserved > 0 && size_bytes > reserved)
            size_bytes = reserved;
        if ((run->calls & 1u << call) == 0)
            continue;
        migration_fit_batches(&run->batches,
                              (size_bytes + page_kind_bytes(kind) - 1) / page_kind_bytes(kind),
                              &batches);
        for (size_t i = 0; i < batches.count; i++) {
            migration_measure_speed(run, kind, pair, (enum migration_call)call, batches.pages[i]);
            if (run->has_mover)
                migration_measure_latency(run, kind, pair->nodes, (enum migration_call)call,
                                          batches.pages[i]);
        }
    }
}

/* On every node that pages are moved from or to. */
static void measure_idle(struct migration_run *run, enum page_kind kind) {
    bool measured[PLACEMENT_NODES] = {false};
    for (size_t i = 0; i < 2 * run->pair_count; i++) {
        int node = run->pairs[i / 2].nodes[i % 2];
        if (!measured[node])
            migration_measure_latency(run, kind, (const int[]){node, node}, MIGRATION_MOVE_PAGES,
                                      1);
        measured[node] = true;
    }
}

static int report(struct migration_run *run) {
    struct placement_verdict worst = {.status = PLACEMENT_VERIFIED, .fraction = 1};
    size_t failed = 0;
    const char *first = NULL;
    migration_show_progress(NULL, NULL, 0, 0);
    for (size_t i = 0; i < run->count; i++) {
        if (run->series[i].failed == NULL) {
            worst = placement_worse(worst, *run->series[i].placement);
            continue;
        }
        first = failed++ == 0 ? run->series[i].failed : first;
    }
    int status = session_report(run->session, run->series, run->count, worst);
    if (failed > 0)
        session_say(run->session, "warning: %zu of %zu figures failed; the first: %s", failed,
                    run->count, first);
    return failed == run->count ? SESSION_NOT_MEASURED : status;
}

/* A CPU to move pages from while the session's reads: of another core if there is one. Returns
 * false when this process may use only one. */
static bool choose_mover(const struct session *session, unsigned *mover) {
    hwloc_obj_t own = hwloc_get_pu_obj_by_os_index(session->topology, session->cpus[0]);
    hwloc_obj_t core =
        own != NULL ? hwloc_get_ancestor_obj_by_type(session->topology, HWLOC_OBJ_CORE, own) : NULL;
    int sibling = -1;
    for (int cpu = hwloc_bitmap_first(session->allowed); cpu >= 0;
         cpu = hwloc_bitmap_next(session->allowed, cpu)) {
        *mover = (unsigned)cpu;
        if (*mover == session->cpus[0])
            continue;
        if (core == NULL || !hwloc_bitmap_isset(core->cpuset, *mover))
            return true;
        if (sibling < 0)
            sibling = cpu;
    }
    *mover = (unsigned)sibling;
    return sibling >= 0;
}

static void note_node(void *context, size_t member) {
    struct migration_run *run = context;
    if (member == 1)
        run->mover_node = session_current_node();
}

/* Starts the thread that moves pages under the reader. Returns 0 or an errno. */
static int start_reader(struct migration_run *run) {
    unsigned cpus[2] = {run->session->cpus[0], 0};
    if (request.no_latency.given)
        return 0;
    int error = migration_spans_start(&run->reader.spans);
    if (error != 0)
        return error;
    if (!choose_mover(run->session, &cpus[1])) {
        session_say(run->session,
                    "note: only one CPU may be used: latency is measured at rest only");
        return 0;
    }
    error = crew_start(&run->crew, run->session->topology, cpus, 2);
    if (error != 0)
        return error;
    run->has_mover = true;
    run->mover_cpu = cpus[1];
    if (!crew_try(&run->crew, note_node, run, START_PATIENCE_NS)) {
        session_fail(run->session, "none", "a thread got no time on CPU %u: other programs use it",
                     cpus[1]);
        crew_release(&run->crew);
        exit(SESSION_NOT_MEASURED);
    }
    return 0;
}

static bool refuse(const struct session *session, const char *option, const char *text,
                   const char *accepted) {
    char shown[41];
    snprintf(shown, sizeof shown, "%s", text);
    for (char *at = shown; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at))
            *at = '?';
    session_say(session, "--%s: '%s' is not accepted; %s", option, shown, accepted);
    return false;
}

/* Reads the options' lists. False, with the reason on stderr, for bad usage. */
static bool read_lists(struct migration_run *run) {
    const char *kinds[PAGE_KINDS], *text;
    for (size_t i = 0; i < PAGE_KINDS; i++)
        kinds[i] = page_kind_name((enum page_kind)i);
    run->kinds = 1u << PAGE_BASE | 1u << PAGE_THP;
    if (migration_reserved_bytes(PAGE_2M) > 0)
        run->kinds |= 1u << PAGE_2M;
    run->calls = (1u << MIGRATION_CALLS) - 1;
    text = request.pages.text;
    if (text != NULL && !migration_parse_names(text, kinds, PAGE_KINDS, &run->kinds))
        return refuse(run->session, "pages", text, "a list out of base,thp,2M,1G is");
    text = request.calls.text;
    if (text != NULL &&
        !migration_parse_names(text, migration_call_names, MIGRATION_CALLS, &run->calls))
        return refuse(run->session, "calls", text, "a list out of move_pages,mbind is");
    text = request.batch.text != NULL ? request.batch.text : DEFAULT_BATCHES;
    if (!migration_parse_batches(text, &run->batches))
        return refuse(run->session, "batch", text,
                      "a list of up to 16 numbers of pages, or all, is");
    return true;
}

/* Whether a node that was named is one of those with memory. */
static bool check_node(const struct session *session, const char *option,
                       const struct option_value *node, hwloc_const_bitmap_t usable) {
    char list[128];
    if (!node->given || hwloc_bitmap_isset(usable, (unsigned)node->value))
        return true;
    if (hwloc_bitmap_list_snprintf(list, sizeof list, usable) <= 0)
        snprintf(list, sizeof list, "none");
    session_say(session, "--%s: %" PRIu64 " is not a node whose memory may be used; there are: %s",
                option, node->value, list);
    return false;
}

/* Lists the pairs that were asked for. Without --from and --to each is gone both ways. */
static void list_pairs(struct migration_run *run, hwloc_const_bitmap_t usable) {
    size_t nodes = (size_t)hwloc_bitmap_weight(usable);
    run->pairs = calloc(nodes * nodes, sizeof *run->pairs);
    if (run->pairs == NULL)
        errx(SESSION_NOT_MEASURED, "no memory for the pairs of %zu nodes", nodes);
    bool both = !request.from.given && !request.to.given;
    for (int from = hwloc_bitmap_first(usable); from >= 0; from = hwloc_bitmap_next(usable, from))
        for (int to = hwloc_bitmap_first(usable); to >= 0; to = hwloc_bitmap_next(usable, to))
            if (from != to && (!both || from < to) &&
                (!request.from.given || (uint64_t)from == request.from.value) &&
                (!request.to.given || (uint64_t)to == request.to.value))
                run->pairs[run->pair_count++] = (struct migration_pair){{from, to}, both};
}

/* Fails where a node cannot hold what is to be moved there: the kernel would kill the process.
 * Without --size there is less to move on a small machine. */
static bool choose_sizes(struct migration_run *run, int *status) {
    for (size_t i = 0; i < 2 * run->pair_count; i++) {
        int node = run->pairs[i / 2].nodes[i % 2];
        uint64_t node_bytes = topology_node_bytes(run->session->topology, (unsigned)node);
        if (!request.size.given && run->size_bytes > node_bytes / 4)
            run->size_bytes = node_bytes / 4;
        if (!request.size.given && run->ring_bytes > node_bytes / 4)
            run->ring_bytes = node_bytes / 4;
        if (run->size_bytes <= node_bytes)
            continue;
        char size[UNITS_SIZE_TEXT];
        *status = session_fail(run->session, "none",
                               "%s are wanted, but node %d has %" PRIu64 "M in all; see --size",
                               units_format_size(run->size_bytes, size), node, node_bytes >> 20);
        return false;
    }
    return true;
}

/* Returns true to go on; else *status is the exit status. */
static bool choose_pairs(struct migration_run *run, int *status) {
    const struct session *session = run->session;
    hwloc_bitmap_t usable = hwloc_bitmap_alloc();
    topology_usable_nodes(session->topology, usable);
    *status = SESSION_BAD_USAGE;
    if (!check_node(session, "from", &request.from, usable) ||
        !check_node(session, "to", &request.to, usable)) {
        /* has been said */
    } else if (request.from.given && request.to.given && request.from.value == request.to.value) {
        session_say(session, "--from and --to are the same node: %" PRIu64, request.to.value);
    } else if (hwloc_bitmap_weight(usable) < 2) {
        *status = session_fail(session, "none",
                               "pages need a second node to go to, and here is %s with memory; to "
                               "see it: harness/lab.sh --no-pace -- bench/migrate --size 4M",
                               hwloc_bitmap_iszero(usable) ? "none" : "one");
    } else {
        *status = SESSION_MEASURED;
        list_pairs(run, usable);
    }
    hwloc_bitmap_free(usable);
    return *status == SESSION_MEASURED;
}

/* Leaves out calls that the kernel refuses. True when one is left. */
static bool choose_calls(struct migration_run *run, int *status) {
    char refused[SESSION_PROOF_TEXT] = "";
    size_t length = 0;
    for (int call = 0; call < MIGRATION_CALLS; call++) {
        if ((run->calls & 1u << call) == 0)
            continue;
        int error = migration_try_call((enum migration_call)call, run->pairs[0].nodes[0]);
        if (error == 0)
            continue;
        run->calls &= ~(1u << call);
        length += (size_t)snprintf(refused + length, sizeof refused - length, "%s%s (%s)",
                                   length > 0 ? " and " : "", migration_call_names[call],
                                   strerror(error));
    }
    if (run->calls == 0)
        *status = session_fail(run->session, "none", "the kernel refuses %s", refused);
    else if (length > 0)
        session_say(run->session, "warning: left out, because the kernel refuses it: %s", refused);
    return run->calls != 0;
}

/* Leaves out pages that the kernel does not give. True when a kind is left. */
static bool choose_kinds(struct migration_run *run, int *status) {
    char missing[SESSION_PROOF_TEXT] = "";
    size_t length = 0;
    for (int kind = 0; kind < PAGE_KINDS; kind++) {
        struct migration_memory memory;
        const char *why = "the kernel gave others";
        if ((run->kinds & 1u << kind) == 0)
            continue;
        bool given = migration_map(&memory, (enum page_kind)kind, 1, run->pairs[0].nodes, &why);
        bool right =
            given && strcmp(migration_pages_of(&memory), page_kind_name((enum page_kind)kind)) == 0;
        if (given)
            migration_unmap(&memory);
        if (right)
            continue;
        run->kinds &= ~(1u << kind);
        length +=
            (size_t)snprintf(missing + length, sizeof missing - length, "%s%s (%s)",
                             length > 0 ? "; " : "", page_kind_name((enum page_kind)kind), why);
        if (length >= sizeof missing)
            length = sizeof missing - 1;
    }
    if (run->kinds == 0)
        *status = session_fail(run->session, "none", "there are no such pages: %s", missing);
    else if (length > 0)
        session_say(run->session, "note: pages left out: %s", missing);
    return run->kinds != 0;
}

static int measure(struct migration_run *run) {
    int status, error;
    if (!choose_pairs(run, &status) || !choose_sizes(run, &status) || !choose_calls(run, &status) ||
        !choose_kinds(run, &status))
        return status;
    error = start_reader(run);
    if (error != 0)
        return session_fail(run->session, "none", "cannot start a second pinned thread: %s",
                            strerror(error));
    for (int kind = 0; kind < PAGE_KINDS; kind++) {
        if ((run->kinds & 1u << kind) == 0)
            continue;
        if (!request.no_latency.given)
            measure_idle(run, (enum page_kind)kind);
        for (size_t i = 0; i < run->pair_count; i++)
            measure_pair(run, (enum page_kind)kind, &run->pairs[i]);
    }
    status = report(run);
    if (run->has_mover)
        crew_end(&run->crew);
    return status;
}

int main(int argc, char **argv) {
    struct session session;
    static struct migration_run run;
    int status;
    if (!session_start(&session, &migrate, argc, argv, &status))
        return status;
    run.session = &session;
    run.cache_bytes = topology_cache_bytes(session.topology);
    run.size_bytes = run.ring_bytes = request.size.value;
    if (!request.size.given && run.ring_bytes < 4 * run.cache_bytes)
        run.ring_bytes = 4 * run.cache_bytes;
    session.source.node = -1;
    placement_expect_node(&session.source.expected, -1);
    snprintf(session.source.allocator, sizeof session.source.allocator, "mmap");
    snprintf(session.source.policy, sizeof session.source.policy, "none");
    status = read_lists(&run) ? measure(&run) : SESSION_BAD_USAGE;
    session_end(&session);
    return status;
}
