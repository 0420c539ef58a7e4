/* Passive false sharing: one thread allocates neighbouring blocks and gives them to others, as a
 * program does that sets up its threads' state; an allocator that lets the receivers reuse what
 * they free leaves them on shared lines for good. */
#include "false_sharing.h"
#include "workloads.h"

#define GIFTS 64 /* blocks each thread is given */

static void prepare(struct run *run) {
    struct worker giver = {.run = run, .serial = UINT32_C(0xff) << 24};
    struct block *gifts = worker_table(&giver, (size_t)run->threads * GIFTS, sizeof *gifts);
    for (size_t i = 0; i < (size_t)run->threads * GIFTS; i++)
        gifts[i] = block_get(&giver, FALSE_SHARING_BYTES);
    run->shared = gifts;
}

static void finish(struct run *run) {
    free(run->shared);
}

/* Neighbours go to different threads. */
static void false_sharing_passive(struct worker *worker) {
    const struct block *gifts = worker->run->shared;
    for (size_t i = 0; i < GIFTS; i++)
        block_put(worker, gifts[i * worker->run->threads + worker->index]);
    false_sharing_loop(worker);
}

const struct workload workload_false_sharing_passive = {
    .name = "false-sharing-passive",
    .about =
        "the same after freeing blocks another thread gave; operation: malloc, 100 writes, free",
    .threads = 2,
    .threads_min = 2,
    .threads_step = 1,
    .operations = 6000000,
    .prepare = prepare,
    .work = false_sharing_passive,
    .finish = finish,
};
