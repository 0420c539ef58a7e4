/* One thread frees and never allocates, what others retire: epoch-based reclamation in databases
 * and kernels, and garbage collectors' finalisers. The allocating threads also free half
 * themselves. */
#include "handover.h"
#include "workloads.h"

#define SLOTS          8192
#define PARCELS        64
#define BATCH          1024
#define SMALLEST       16
#define SIZE_DOUBLINGS 6 /* up to 1 KiB */

static bool allocates(unsigned index) {
    return index > 0;
}

static void prepare(struct run *run) {
    struct worker first = {.run = run};
    struct handover *queue = worker_table(&first, 1, sizeof *queue);
    handover_open(queue, &first, PARCELS, run->threads - 1);
    run->shared = queue;
}

static void finish(struct run *run) {
    handover_close(run->shared);
    free(run->shared);
}

static void allocate(struct worker *worker, struct handover *queue) {
    struct block *slots = worker_table(worker, SLOTS, sizeof *slots);
    struct parcel retired = {0};
    for (uint64_t count; (count = worker_batch(worker, BATCH)) > 0;) {
        for (uint64_t i = 0; i < count; i++) {
            uint64_t bits = random_next(worker);
            struct block *slot = &slots[bits % SLOTS];
            if (slot->start != NULL && bits >> 63 != 0)
                block_put(worker, *slot);
            else if (slot->start != NULL)
                retired.blocks[retired.count++] = *slot;
            if (retired.count == PARCEL_BLOCKS) {
                handover_push(queue, &retired);
                retired.count = 0;
            }
            *slot = block_get(worker, random_size(worker, SMALLEST, SIZE_DOUBLINGS));
        }
    }
    handover_push(queue, &retired);
    handover_done(queue);
    block_put_all(worker, slots, SLOTS);
    free(slots);
}

static void free_only(struct worker *worker) {
    struct handover *queue = worker->run->shared;
    struct parcel parcel;
    if (allocates(worker->index))
        allocate(worker, queue);
    else
        while (handover_pop(queue, &parcel))
            for (size_t i = 0; i < parcel.count; i++)
                block_put(worker, parcel.blocks[i]);
}

const struct workload workload_free_only = {
    .name = "free-only",
    .about = "one thread frees half of what the others allocate; operation: malloc and free",
    .threads = 2,
    .threads_min = 2,
    .threads_step = 1,
    .operations = 12000000,
    .has_share = allocates,
    .prepare = prepare,
    .work = free_only,
    .finish = finish,
};
