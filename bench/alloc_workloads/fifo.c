/* Batches freed first-in-first-out: queues of requests, events and log lines, which are worked off
 * in the order they came. The block freed last is the one that is wanted again last. */
#include "batches.h"
#include "workloads.h"

static void fifo(struct worker *worker) {
    struct block *blocks = worker_table(worker, BATCHES_MOST_BLOCKS, sizeof *blocks);
    for (size_t count; (count = batches_next(worker, blocks)) > 0;)
        for (size_t i = 0; i < count; i++)
            block_put(worker, blocks[i]);
    free(blocks);
}

const struct workload workload_fifo = {
    .name = "fifo",
    .about = "batches of up to 4,096 blocks freed oldest first; operation: malloc and free",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 28000000,
    .work = fifo,
};
