#include "kernel_team.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology.h"

/* One a thread, and on lines of its own: it is written between timed runs by all at once. */
struct kernel_worker {
    struct kernel_slice slice;
    int node;     /* of the CPU it is pinned to */
    unsigned cpu; /* it is pinned to */
    struct placement_tally placement;
    uint64_t expected_sum; /* of a pass of a kernel that only reads: all read the same */
    uint64_t sum;          /* of the passes of a run */
    struct watch_reading before, after;
    const char *wrong;
} __attribute__((aligned(128)));

static void fill(void *context, size_t member) {
    struct kernel_team *team = context;
    struct kernel_worker *worker = &team->workers[member];
    worker->node = session_current_node();
    kernel_fill(&worker->slice);
    worker->expected_sum = kernel_expected_sum(KERNEL_READ, &worker->slice);
}

static void ask(void *context, size_t member) {
    struct kernel_team *team = context;
    struct kernel_worker *worker = &team->workers[member];
    const struct memory_source *source = &team->session->source;
    const double *const slices[] = {worker->slice.a, worker->slice.b, worker->slice.c};
    struct placement_expected own;
    placement_expect_node(&own, topology_touched_node(team->session->topology, worker->node));
    worker->placement = (struct placement_tally){0};
    for (size_t i = 0; i < KERNEL_ARRAYS; i++)
        placement_add(&worker->placement, slices[i], worker->slice.lines * KERNEL_LINE_BYTES,
                      source->first_touch ? &own : &source->expected);
}

static void run(void *context, size_t member) {
    struct kernel_team *team = context;
    struct kernel_worker *worker = &team->workers[member];
    uint64_t sum = 0;
    watch_read(&worker->before);
    for (uint64_t pass = 0; pass < team->passes; pass++)
        sum += team->run(&worker->slice);
    watch_read(&worker->after);
    worker->sum = sum;
}

static void wipe(void *context, size_t member) {
    const struct kernel_team *team = context;
    kernel_wipe(&team->workers[member].slice);
}

static void check_sources(void *context, size_t member) {
    struct kernel_team *team = context;
    struct kernel_worker *worker = &team->workers[member];
    worker->wrong = kernel_check_sources(&worker->slice);
}

static void check_and_wipe(void *context, size_t member) {
    struct kernel_team *team = context;
    struct kernel_worker *worker = &team->workers[member];
    worker->wrong = kernel_check_and_wipe(team->id, &worker->slice);
}

/* Each slice begins on a huge page of its own, because the kernel places a huge page whole, on the
 * node of whichever thread touches it first. */
static size_t stride_bytes(size_t slice_lines) {
    size_t bytes = slice_lines * KERNEL_LINE_BYTES;
    return (bytes + MEMORY_ALIGN_BYTES - 1) & ~(MEMORY_ALIGN_BYTES - 1);
}

bool kernel_team_start(struct kernel_team *team, struct session *session, size_t threads,
                       uint64_t size_bytes) {
    size_t lines = size_bytes / KERNEL_LINE_BYTES / threads, stride = stride_bytes(lines);
    const char *why = NULL;
    *team = (struct kernel_team){.session = session, .block_bytes = stride * threads};
    team->workers = aligned_alloc(128, threads * sizeof *team->workers);
    if (team->workers == NULL)
        why = "no room for the list of threads";
    for (size_t i = 0; i < KERNEL_ARRAYS && why == NULL; i++)
        team->blocks[i] = memory_get(&session->source, team->block_bytes, &why);
    if (why != NULL) {
        snprintf(team->why, sizeof team->why, "cannot get memory: %s", why);
        return false;
    }
    for (size_t i = 0; i < threads; i++) {
        size_t first = i * stride / sizeof(double);
        team->workers[i] = (struct kernel_worker){
            .slice = {team->blocks[0] + first, team->blocks[1] + first, team->blocks[2] + first,
                      lines, i * lines},
            .cpu = session->cpus[i],
        };
    }
    int error = crew_start(&team->crew, session->topology, session->cpus, threads);
    if (error != 0) {
        snprintf(team->why, sizeof team->why, "cannot start %zu pinned threads: %s", threads,
                 strerror(error));
        return false;
    }
    crew_do(&team->crew, fill, team);
    return true;
}

void kernel_team_end(struct kernel_team *team) {
    crew_end(&team->crew);
    for (size_t i = 0; i < KERNEL_ARRAYS; i++)
        memory_free(&team->session->source, team->blocks[i], team->block_bytes);
    free(team->workers);
}

struct placement_tally kernel_team_ask(struct kernel_team *team) {
    struct placement_tally all = {0};
    crew_do(&team->crew, ask, team);
    for (size_t i = 0; i < team->crew.size; i++)
        placement_merge(&all, &team->workers[i].placement);
    return all;
}

struct kernel_traffic kernel_team_traffic(const struct kernel_team *team, enum kernel_id id) {
    struct kernel_traffic all = {0};
    for (size_t i = 0; i < team->crew.size; i++) {
        struct kernel_traffic one = kernel_traffic(&kernels[id], team->workers[i].slice.lines);
        all.read += one.read;
        all.written += one.written;
        all.allocated += one.allocated;
    }
    return all;
}

struct kernel_time kernel_team_run(struct kernel_team *team, enum kernel_id id, kernel_run *run_one,
                                   uint64_t passes) {
    uint64_t first_ns = UINT64_MAX, last_ns = 0;
    struct kernel_time time = {.disturbed = UNDISTURBED, .right = true};
    team->id = id;
    team->run = run_one;
    team->passes = passes;
    crew_do(&team->crew, run, team);
    for (size_t i = 0; i < team->crew.size; i++) {
        const struct kernel_worker *worker = &team->workers[i];
        if (worker->before.raw_ns < first_ns)
            first_ns = worker->before.raw_ns;
        if (worker->after.raw_ns > last_ns)
            last_ns = worker->after.raw_ns;
        enum disturbance disturbed =
            watch_compare(&team->session->watch, &worker->before, &worker->after, worker->cpu);
        if (disturbed > time.disturbed)
            time.disturbed = disturbed;
        uint64_t expected = kernels[id].stores == KERNEL_NO_STORES ? worker->expected_sum : 0;
        time.right = time.right && worker->sum == passes * expected;
    }
    time.elapsed_ns = last_ns - first_ns;
    return time;
}

void kernel_team_wipe(struct kernel_team *team) {
    crew_do(&team->crew, wipe, team);
}

/* Has every thread check its own slice. */
static const char *check_with(struct kernel_team *team, crew_work *check) {
    crew_do(&team->crew, check, team);
    for (size_t i = 0; i < team->crew.size; i++)
        if (team->workers[i].wrong != NULL)
            return team->workers[i].wrong;
    return NULL;
}

const char *kernel_team_check_sources(struct kernel_team *team) {
    return check_with(team, check_sources);
}

const char *kernel_team_check_and_wipe(struct kernel_team *team, enum kernel_id id) {
    team->id = id;
    return check_with(team, check_and_wipe);
}
