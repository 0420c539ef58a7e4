/* Threads, each pinned to a CPU of its own, that do one thing at a time together. */
#ifndef BENCH_CREW_H
#define BENCH_CREW_H

#include <hwloc.h>
#include <pthread.h>
#include <stddef.h>

/* What a member does; `context` is crew_do's. */
typedef void crew_work(void *context, size_t member);

struct crew {
    size_t size; /* members; number 0 is the thread that called crew_start */
    struct crew_member *members;
    pthread_barrier_t barrier;
    /* What all do next; changed only while they wait at the barrier. NULL: end. */
    crew_work *work;
    void *context;
};

/* Starts members 1 to size - 1, member i pinned to cpus[i]; the caller has pinned itself. Returns 0
 * or an errno; after an error threads may wait for ever, so the process has to end. */
int crew_start(struct crew *crew, hwloc_topology_t topology, const unsigned *cpus, size_t size);

/* Has every member do the work, beginning together, and waits for all. */
void crew_do(struct crew *crew, crew_work *work, void *context);

void crew_end(struct crew *crew);

#endif
