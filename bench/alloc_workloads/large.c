/* Large blocks of 64 KiB to 64 MiB, every page touched: images, matrices, read buffers and hash
 * tables that double. An allocator that gives memory back to the kernel at once pays for each page
 * again; one that never does grows. */
#include "workloads.h"

#define SLOTS      8
#define BATCH      8
#define SMALLEST   ((size_t)64 << 10)
#define DOUBLINGS  10 /* up to 64 MiB */
#define PAGE_BYTES 4096

static void touch(const struct block *block) {
    for (size_t at = PAGE_BYTES; at + PAGE_BYTES < block->size_bytes; at += PAGE_BYTES)
        *((volatile char *)block->start + at) = 1;
}

static void large(struct worker *worker) {
    struct block *slots = worker_table(worker, SLOTS, sizeof *slots);
    for (uint64_t count; (count = worker_batch(worker, BATCH)) > 0;) {
        for (uint64_t i = 0; i < count; i++) {
            struct block *slot = &slots[random_below(worker, SLOTS)];
            if (slot->start != NULL)
                block_put(worker, *slot);
            *slot = block_get(worker, random_size(worker, SMALLEST, DOUBLINGS));
            touch(slot);
        }
    }
    block_put_all(worker, slots, SLOTS);
    free(slots);
}

const struct workload workload_large = {
    .name = "large",
    .about = "64 KiB to 64 MiB, by a power law, pages touched; operation: malloc and free",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 8000,
    .work = large,
};
