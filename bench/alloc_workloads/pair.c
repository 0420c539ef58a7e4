/* One malloc and one free in turns, all of --size bytes, with 20 others alive: the fast path at its
 * shortest, for counting its instructions. No real program does only this. */
#include "workloads.h"

#define BATCH 4096

/* A few, so that no page of blocks becomes empty at each free, and not as many as fill a page of
 * any allocator; the oldest goes first, so that malloc does not get back what was freed just
 * before. */
#define ALIVE 20

/* Nothing but the two calls: what else is done would be counted. */
__attribute__((noinline)) static void pairs(uint64_t count, size_t size_bytes, void *alive[ALIVE]) {
    for (uint64_t i = 0; i < count; i++) {
        free(alive[i % ALIVE]);
        alive[i % ALIVE] = malloc(size_bytes);
    }
}

static void pair(struct worker *worker) {
    size_t size_bytes = worker->run->size_bytes;
    void *alive[ALIVE] = {0};
    for (uint64_t count; (count = worker_batch(worker, BATCH)) > 0;) {
        block_put(worker, block_get(worker, size_bytes)); /* the check, once a batch */
        pairs(count - 1, size_bytes, alive);
    }
    for (size_t i = 0; i < ALIVE; i++)
        free(alive[i]);
}

const struct workload workload_pair = {
    .name = "pair",
    .about = "blocks of --size bytes, 20 alive, oldest freed first; operation: malloc and free",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 60000000,
    .work = pair,
};
