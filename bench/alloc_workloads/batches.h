/* Batches of blocks that are allocated together and freed together, for lifo.c and fifo.c. */
#ifndef ALLOCS_BATCHES_H
#define ALLOCS_BATCHES_H

#include "workload.h"

#define BATCHES_MOST_BLOCKS    4096
#define BATCHES_SMALLEST_BYTES 16
#define BATCHES_SIZE_DOUBLINGS 6 /* up to 1 KiB */

/* Allocates a batch into blocks: 1 to BATCHES_MOST_BLOCKS. Returns how many, 0 when done. */
static inline size_t batches_next(struct worker *worker, struct block *blocks) {
    uint64_t count = worker_batch(worker, 1 + random_below(worker, BATCHES_MOST_BLOCKS));
    for (uint64_t i = 0; i < count; i++)
        blocks[i] =
            block_get(worker, random_size(worker, BATCHES_SMALLEST_BYTES, BATCHES_SIZE_DOUBLINGS));
    return count;
}

#endif
