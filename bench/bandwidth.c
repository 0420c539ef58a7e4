/* Bandwidth of memory: STREAM's four kernels and a read-only sum, on one or more threads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "placement.h"
#include "session.h"
#include "stream.h"

#define ARRAYS 3

static const struct session_program bandwidth = {
    .name = "bandwidth",
    .metric = "bandwidth",
    .unit = "GB/s",
    .about =
        "Bandwidth in GB/s (1 GB = 1e9 bytes) of loops over three arrays a, b, c of doubles:\n"
        "  copy c = a, scale b = s*c, add c = a + b, triad a = b + s*c, sum x += a (reads only)\n"
        "Counted: the bytes the loop reads and writes (16, 16, 24, 24, 8 an element). Not counted:\n"
        "lines that a store first brings into the cache (write-allocate), as in STREAM.\n"
        "Each thread touches its own slice first, after malloc's policy has had its say. Threads\n"
        "start together; the time is from the first start to the last end. Results are checked.\n",
    .size_help =
        "bytes of each of the three arrays (default: 64M, or 4 x all last-level caches if\n"
        "larger)",
    .size_min_bytes = 64 << 10,
    .size_max_bytes = (uint64_t)4 << 40,
    .size_default_bytes = (uint64_t)64 << 20,
    .arrays = ARRAYS,
    .threaded = true,
};

/* How an array is shared out: one equal slice a thread, each beginning on a huge page of its own,
 * because the kernel places a huge page whole, on the node of whichever thread touches it first. */
struct cut {
    size_t slice_bytes, stride_bytes; /* used by a thread; from one slice to the next */
};

static struct cut cut_array(uint64_t size_bytes, uint64_t threads) {
    size_t slice_bytes = size_bytes / threads / sizeof(double) * sizeof(double);
    size_t stride_bytes = (slice_bytes + MEMORY_ALIGN_BYTES - 1) & ~(MEMORY_ALIGN_BYTES - 1);
    return (struct cut){slice_bytes, stride_bytes};
}

/* One a thread: its slice, and what it measured last. */
struct worker {
    struct stream_arrays slice;
    size_t count; /* elements of the slice */
    int node;     /* of the CPU it is pinned to */
    struct placement_tally placement;
    unsigned cpu; /* it is pinned to */
    struct watch_reading before, after;
    double sum;
};

struct team {
    struct crew crew;
    const struct watch *watch;
    const struct memory_source *source;
    struct worker *workers; /* one a member of the crew */
    /* Of run: */
    const struct stream_kernel *kernel;
    uint64_t passes;
};

static void fill(void *context, size_t member) {
    struct team *team = context;
    struct worker *worker = &team->workers[member];
    worker->node = session_current_node();
    stream_fill(&worker->slice, worker->count);
}

/* Where the worker's three slices are, asked by the thread that uses them. */
static void ask(void *context, size_t member) {
    struct team *team = context;
    struct worker *worker = &team->workers[member];
    const double *const slices[ARRAYS] = {worker->slice.a, worker->slice.b, worker->slice.c};
    struct placement_expected own;
    placement_expect_node(&own, worker->node);
    worker->placement = (struct placement_tally){0};
    for (size_t i = 0; i < ARRAYS; i++)
        placement_add(&worker->placement, slices[i], worker->count * sizeof(double),
                      team->source->first_touch ? &own : &team->source->expected);
}

static void run(void *context, size_t member) {
    struct team *team = context;
    struct worker *worker = &team->workers[member];
    watch_read(&worker->before);
    for (uint64_t pass = 0; pass < team->passes; pass++)
        worker->sum = team->kernel->run(&worker->slice, worker->count);
    watch_read(&worker->after);
}

/* What a run took, and the worst that happened to a worker in it. */
struct run_time {
    uint64_t elapsed_ns; /* from the first start to the last end */
    enum disturbance disturbed;
};

/* Has every worker run the kernel. */
static struct run_time team_time(struct team *team, const struct stream_kernel *kernel,
                                 uint64_t passes) {
    team->kernel = kernel;
    team->passes = passes;
    crew_do(&team->crew, run, team);
    uint64_t first_ns = UINT64_MAX, last_ns = 0;
    struct run_time time = {.disturbed = UNDISTURBED};
    for (size_t i = 0; i < team->crew.size; i++) {
        const struct worker *worker = &team->workers[i];
        if (worker->before.raw_ns < first_ns)
            first_ns = worker->before.raw_ns;
        if (worker->after.raw_ns > last_ns)
            last_ns = worker->after.raw_ns;
        enum disturbance disturbed =
            watch_compare(team->watch, &worker->before, &worker->after, worker->cpu);
        if (disturbed > time.disturbed)
            time.disturbed = disturbed;
    }
    time.elapsed_ns = last_ns - first_ns;
    return time;
}

static struct placement_tally team_ask(struct team *team) {
    struct placement_tally all = {0};
    crew_do(&team->crew, ask, team);
    for (size_t i = 0; i < team->crew.size; i++)
        placement_merge(&all, &team->workers[i].placement);
    return all;
}

/* Starts the threads, each with its slice. Returns 0 or an errno; after an error threads may wait
 * for ever, so the process has to end. */
static int team_start(struct team *team, const struct session *session, const struct cut *cut,
                      const struct stream_arrays *arrays) {
    size_t size = session->threads.value;
    *team = (struct team){.source = &session->source, .watch = &session->watch};
    team->workers = calloc(size, sizeof *team->workers);
    if (team->workers == NULL)
        return ENOMEM;
    for (size_t i = 0; i < size; i++) {
        size_t first = i * cut->stride_bytes / sizeof(double);
        team->workers[i] = (struct worker){
            .slice = {arrays->a + first, arrays->b + first, arrays->c + first},
            .count = cut->slice_bytes / sizeof(double),
            .cpu = session->cpus[i],
        };
    }
    return crew_start(&team->crew, session->topology, session->cpus, size);
}

/* Times `*passes` passes, and more of them when those took less than a sample must: the first count
 * comes from one pass, which is cold and may have been interrupted. A pass leaves what it finds
 * when run again, so repeating it keeps the result known. */
static struct run_time time_sample(struct team *team, const struct stream_kernel *kernel,
                                   uint64_t min_ns, uint64_t *passes) {
    for (;;) {
        struct run_time time = team_time(team, kernel, *passes);
        if (time.elapsed_ns >= min_ns)
            return time;
        uint64_t missing =
            *passes * (min_ns - time.elapsed_ns) / (time.elapsed_ns > 0 ? time.elapsed_ns : 1);
        *passes += missing + missing / 8 + 1;
    }
}

/* Runs rounds of all kernels until every one has samples enough; returns how many, the warm-up
 * round included. */
static size_t take_samples(const struct session *session, struct team *team,
                           struct series series[STREAM_KERNELS]) {
    uint64_t passes[STREAM_KERNELS];
    uint64_t min_ns = session_min_sample_ns(session);
    size_t elements = 0, rounds = 1;
    for (size_t i = 0; i < team->crew.size; i++)
        elements += team->workers[i].count;
    for (size_t k = 0; k < STREAM_KERNELS; k++) {
        uint64_t pass_ns = team_time(team, &stream_kernels[k], 1).elapsed_ns;
        passes[k] = min_ns / (pass_ns > 0 ? pass_ns : 1) + 1;
        series[k].variant = stream_kernels[k].name;
    }
    for (bool enough = false; !enough; rounds++) {
        enough = true;
        for (size_t k = 0; k < STREAM_KERNELS; k++) {
            const struct stream_kernel *kernel = &stream_kernels[k];
            struct sample sample = {.started_at = time(NULL)};
            struct run_time run_time = time_sample(team, kernel, min_ns, &passes[k]);
            double bytes = (double)(kernel->bytes_read + kernel->bytes_written) * (double)elements *
                           (double)passes[k];
            sample.value = bytes / (double)run_time.elapsed_ns; /* B/ns = GB/s */
            sample.disturbed = run_time.disturbed;
            series_add(&series[k], &sample);
            enough = enough && session_enough(session, &series[k]);
        }
    }
    return rounds;
}

/* NULL, or which array or sum is wrong. */
static const char *check(const struct team *team, size_t rounds) {
    const char *wrong = NULL;
    for (size_t i = 0; i < team->crew.size && wrong == NULL; i++) {
        const struct worker *worker = &team->workers[i];
        wrong = stream_check(&worker->slice, worker->count, rounds, worker->sum);
    }
    return wrong;
}

static int measure(struct session *session, const struct cut *cut,
                   const struct stream_arrays *arrays) {
    static struct series series[STREAM_KERNELS];
    struct team team;
    int error = team_start(&team, session, cut, arrays);
    if (error != 0) {
        session_say(session, "cannot start %zu pinned threads: %s", (size_t)session->threads.value,
                    strerror(error));
        exit(SESSION_NOT_MEASURED);
    }
    crew_do(&team.crew, fill, &team);
    struct placement_tally before = team_ask(&team);
    void *const blocks[ARRAYS] = {arrays->a, arrays->b, arrays->c};
    session_look_at_pages(session, blocks, ARRAYS, cut->stride_bytes * team.crew.size);
    size_t rounds = take_samples(session, &team, series);
    struct placement_tally after = team_ask(&team);
    struct placement_verdict placement = session_judge(session, &before, &after);
    const char *wrong = check(&team, rounds);
    crew_end(&team.crew);
    free(team.workers);
    if (wrong != NULL) {
        session_say(session, "wrong result in %s: nothing is reported", wrong);
        return SESSION_NOT_MEASURED;
    }
    return session_report(session, series, STREAM_KERNELS, placement);
}

int main(int argc, char **argv) {
    struct session session;
    int status;
    if (!session_start(&session, &bandwidth, argc, argv, &status))
        return status;
    struct cut cut = cut_array(session.size.value, session.threads.value);
    size_t block_bytes = cut.stride_bytes * session.threads.value;
    double *blocks[ARRAYS] = {NULL};
    const char *why = NULL;
    for (size_t i = 0; i < ARRAYS && why == NULL; i++)
        blocks[i] = memory_get(&session.source, block_bytes, &why);
    if (why != NULL) {
        session_say(&session, "cannot get memory: %s", why);
        status = SESSION_NOT_MEASURED;
    } else {
        status = measure(&session, &cut, &(struct stream_arrays){blocks[0], blocks[1], blocks[2]});
    }
    for (size_t i = 0; i < ARRAYS; i++)
        if (blocks[i] != NULL)
            memory_free(&session.source, blocks[i], block_bytes);
    session_end(&session);
    return status;
}
