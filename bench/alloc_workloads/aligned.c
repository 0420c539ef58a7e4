/* Many aligned blocks: vectors for SIMD, lines of their own for threads' data, and pages for direct
 * input and output. An allocator that pads each block wastes memory and is slow to free. */
#include "workloads.h"

#define SLOTS               2048
#define BATCH               1024
#define SMALLEST_ALIGNMENT  16
#define ALIGNMENT_DOUBLINGS 8 /* 16 to 4,096 */
#define SIZE_DOUBLINGS      8

static struct block get(struct worker *worker) {
    uint64_t bits = random_next(worker) | UINT64_C(1) << ALIGNMENT_DOUBLINGS;
    size_t alignment = (size_t)SMALLEST_ALIGNMENT << __builtin_ctzll(bits);
    size_t bytes = random_size(worker, SMALLEST_ALIGNMENT, SIZE_DOUBLINGS);
    void *start = NULL;
    if (posix_memalign(&start, alignment, bytes) != 0)
        start = NULL;
    if ((uintptr_t)start % alignment != 0)
        workload_broken(worker, "a block of %zu bytes at %p is not aligned to %zu", bytes, start,
                        alignment);
    return block_of(worker, start, bytes);
}

static void aligned(struct worker *worker) {
    struct block *slots = worker_table(worker, SLOTS, sizeof *slots);
    for (uint64_t count; (count = worker_batch(worker, BATCH)) > 0;) {
        for (uint64_t i = 0; i < count; i++) {
            struct block *slot = &slots[random_below(worker, SLOTS)];
            if (slot->start != NULL)
                block_put(worker, *slot);
            *slot = get(worker);
        }
    }
    block_put_all(worker, slots, SLOTS);
    free(slots);
}

const struct workload workload_aligned = {
    .name = "aligned",
    .about = "16 bytes to 4 KiB aligned to 16 to 4,096; operation: posix_memalign and free",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 8000000,
    .work = aligned,
};
