/* Small blocks that threads write to at the same time, for the two false-sharing workloads: when
 * two threads' blocks are on one 64-byte line, each write waits for the line. After E. D. Berger et
 * al., "Hoard", ASPLOS 2000, whose cache-thrash and cache-scratch they are modelled on. */
#ifndef ALLOCS_FALSE_SHARING_H
#define ALLOCS_FALSE_SHARING_H

#include "workload.h"

#define FALSE_SHARING_BYTES 8
#define FALSE_SHARING_HELD  8   /* blocks a thread holds at a time */
#define FALSE_SHARING_LOOPS 100 /* writes to a block between its malloc and its free */

/* Allocates some blocks at a time, writes to each in turn, and frees them, until done. */
static inline void false_sharing_loop(struct worker *worker) {
    struct block held[FALSE_SHARING_HELD];
    for (uint64_t count; (count = worker_batch(worker, FALSE_SHARING_HELD)) > 0;) {
        for (uint64_t i = 0; i < count; i++)
            held[i] = block_get(worker, FALSE_SHARING_BYTES);
        for (unsigned loop = 0; loop < FALSE_SHARING_LOOPS; loop++)
            for (uint64_t i = 0; i < count; i++)
                ++*(volatile uint64_t *)held[i].start;
        for (uint64_t i = 0; i < count; i++) {
            *(uint64_t *)held[i].start -= FALSE_SHARING_LOOPS;
            block_put(worker, held[i]);
        }
    }
}

#endif
