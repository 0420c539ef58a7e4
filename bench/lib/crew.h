/* Threads, each pinned to a CPU of its own, that do one thing at a time together. */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <hwloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a member does; `context` is crew_do's. */
typedef void crew_work(void *context, size_t member);

struct crew {
    size_t size; /* members; number 0 is the thread that called crew_start */
    struct crew_member *members;
    hwloc_topology_t topology;
    unsigned cpu;         /* of member 0 */
    atomic_uint meetings; /* how often all have met, before and after each work */
    atomic_size_t met;    /* members that have come to the next one */
    /* What all do next; changed only while they wait to meet. NULL: end. */
    crew_work *work;
    void *context;
};

/* Starts members 1 to size - 1, member i pinned to cpus[i]; the caller has pinned itself. Returns 0
 * or an errno; after an error threads may wait for ever, so the process has to end. */
int crew_start(struct crew *crew, hwloc_topology_t topology, const unsigned *cpus, size_t size);

/* Has every member do the work, beginning together, and waits for all. */
void crew_do(struct crew *crew, crew_work *work, void *context);

/* The same, but waits no longer than patience_ns for the others to begin, and as long for them to
 * end. False when one has not; the process then has to end, after crew_release. */
bool crew_try(struct crew *crew, crew_work *work, void *context, uint64_t patience_ns);

/* Lets all members run on the caller's CPU: a thread that never runs on its own, because others
 * keep that, could not even end there with the process. */
void crew_release(struct crew *crew);

void crew_end(struct crew *crew);

#endif
