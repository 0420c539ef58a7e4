/* Blocks that grow by realloc: strings, vectors and input buffers that are appended to. Some growth
 * fits where the block is, some must copy; large blocks can be moved by the kernel instead. */
#include "workloads.h"

#define SLOTS       256
#define BATCH       256
#define FIRST_BYTES 16
#define DOUBLINGS   16 /* a block's last size: up to 2 MiB, by a power law */

struct growing {
    struct block block;
    size_t last_bytes;
};

static void grow(struct worker *worker, struct growing *slot) {
    struct block *block = &slot->block;
    if (block->start == NULL || block->size_bytes >= slot->last_bytes) {
        if (block->start != NULL)
            block_put(worker, *block);
        *block = block_get(worker, FIRST_BYTES);
        slot->last_bytes = random_size(worker, 2 * FIRST_BYTES, DOUBLINGS);
        return;
    }
    block_check(worker, block);
    size_t bytes = block->size_bytes + block->size_bytes / 2; /* as most vectors grow */
    void *grown = realloc(block->start, bytes);
    struct block moved = {grown, block->size_bytes, block->stamp};
    if (grown != NULL)
        block_check(worker, &moved); /* the old content must have come along */
    *block = block_of(worker, grown, bytes);
}

static void grow_all(struct worker *worker) {
    struct growing *slots = worker_table(worker, SLOTS, sizeof *slots);
    for (uint64_t count; (count = worker_batch(worker, BATCH)) > 0;)
        for (uint64_t i = 0; i < count; i++)
            grow(worker, &slots[random_below(worker, SLOTS)]);
    for (size_t i = 0; i < SLOTS; i++)
        block_put_all(worker, &slots[i].block, 1);
    free(slots);
}

const struct workload workload_realloc = {
    .name = "realloc",
    .about = "blocks that grow by half up to 2 MiB; operation: a realloc, or free and malloc",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 10000000,
    .work = grow_all,
};
