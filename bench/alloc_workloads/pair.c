/* One malloc and its free, over and over, of --size bytes: the shortest path there is through the
 * allocator, for counting its instructions. No real program does only this. */
#include "workloads.h"

#define BATCH 4096

/* noinline, and the loop free of checks: a counter of instructions is to find little else here. */
__attribute__((noinline)) static void pairs(uint64_t count, size_t size_bytes) {
    for (uint64_t i = 0; i < count; i++) {
        void *volatile block = malloc(size_bytes);
        free(block);
    }
}

static void pair(struct worker *worker) {
    size_t size_bytes = worker->run->size_bytes;
    for (uint64_t count; (count = worker_batch(worker, BATCH)) > 0;) {
        block_put(worker, block_get(worker, size_bytes));
        pairs(count - 1, size_bytes);
    }
}

const struct workload workload_pair = {
    .name = "pair",
    .about = "one block of --size bytes at a time; operation: malloc and free",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 60000000,
    .work = pair,
};
