/* Mixed sizes and lifetimes, both by power laws: many small and short-lived blocks among few large
 * and old ones, as in servers, compilers and browsers that run for long; pages fill unevenly. */
#include "workloads.h"

#define SLOT_DOUBLINGS 14
#define SLOTS          (1U << SLOT_DOUBLINGS)
#define SMALLEST_BYTES 16
#define SIZE_DOUBLINGS 12 /* up to 64 KiB */
#define BATCH          1024

/* Slots come in groups of 1, 2, 4, ... and a group is as likely as any other. A slot of a group of
 * 2^k is so replaced every SLOT_DOUBLINGS x 2^k operations: P(lifetime = t) goes as 1 / t. */
static struct block *choose(struct worker *worker, struct block *slots) {
    uint64_t group = random_below(worker, SLOT_DOUBLINGS);
    uint64_t groups_first = UINT64_C(1) << group;
    return &slots[groups_first + (random_next(worker) & (groups_first - 1))];
}

static void mixed(struct worker *worker) {
    struct block *slots = worker_table(worker, SLOTS, sizeof *slots);
    for (uint64_t count; (count = worker_batch(worker, BATCH)) > 0;) {
        for (uint64_t i = 0; i < count; i++) {
            struct block *slot = choose(worker, slots);
            if (slot->start != NULL)
                block_put(worker, *slot);
            *slot = block_get(worker, random_size(worker, SMALLEST_BYTES, SIZE_DOUBLINGS));
        }
    }
    block_put_all(worker, slots, SLOTS);
    free(slots);
}

const struct workload workload_mixed = {
    .name = "mixed",
    .about = "16 bytes to 64 KiB, sizes and lifetimes by power laws; operation: malloc and free",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 16000000,
    .work = mixed,
};
