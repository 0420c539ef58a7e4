/* Fixed small sizes, replaced at random: the allocator's fast path and nothing else, as in parsers,
 * interpreters and containers of small nodes, which most programs spend their allocations on. */
#include "workloads.h"

/* 4,096 blocks of 56 bytes on average stay within a second-level cache. */
#define SLOTS 4096
#define BATCH 1024

static const unsigned sizes[] = {16, 24, 32, 48, 64, 80, 96, 128};
#define SIZES (sizeof sizes / sizeof sizes[0])

static void small(struct worker *worker) {
    struct block *slots = worker_table(worker, SLOTS, sizeof *slots);
    for (uint64_t count; (count = worker_batch(worker, BATCH)) > 0;) {
        for (uint64_t i = 0; i < count; i++) {
            uint64_t bits = random_next(worker);
            struct block *slot = &slots[bits % SLOTS];
            if (slot->start != NULL)
                block_put(worker, *slot);
            *slot = block_get(worker, sizes[(bits >> 32) % SIZES]);
        }
    }
    block_put_all(worker, slots, SLOTS);
    free(slots);
}

const struct workload workload_small = {
    .name = "small",
    .about = "blocks of 16 to 128 bytes replaced at random; operation: malloc and free",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 28000000,
    .work = small,
};
