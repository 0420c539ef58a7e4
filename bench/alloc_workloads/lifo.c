/* Batches freed last-in-first-out: scopes and recursion, as in recursive-descent parsers, solvers
 * that backtrack and destructors of local containers. The block freed last is the one wanted next.
 */
#include "batches.h"
#include "workloads.h"

static void lifo(struct worker *worker) {
    struct block *blocks = worker_table(worker, BATCHES_MOST_BLOCKS, sizeof *blocks);
    for (size_t count; (count = batches_next(worker, blocks)) > 0;)
        while (count > 0)
            block_put(worker, blocks[--count]);
    free(blocks);
}

const struct workload workload_lifo = {
    .name = "lifo",
    .about = "batches of up to 4,096 blocks freed newest first; operation: malloc and free",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 26000000,
    .work = lifo,
};
