/* Threads that hand all their blocks on to successors: a block is freed by another thread than the
 * one that allocated it, as when a server's next worker takes a connection over. After P.-A. Larson
 * and M. Krishnan, "Memory allocation for long-running server applications", ISMM 1998. */
#include "handover.h"
#include "workloads.h"

/* A worker holds 8 parcels of 128 blocks and hands them on after replacing each 8 times. */
#define PARCELS        8
#define ROUND          (8 * PARCELS * PARCEL_BLOCKS)
#define SMALLEST       16
#define SIZE_DOUBLINGS 7 /* up to 2 KiB */

static void prepare(struct run *run) {
    struct worker first = {.run = run};
    struct handover *queue = worker_table(&first, 1, sizeof *queue);
    size_t cells = 2;
    while (cells < (size_t)run->threads * PARCELS)
        cells *= 2;
    handover_open(queue, &first, cells, run->threads);
    run->shared = queue;
}

static void finish(struct run *run) {
    handover_close(run->shared);
    free(run->shared);
}

static void server(struct worker *worker) {
    struct handover *queue = worker->run->shared;
    struct parcel *parcels = worker_table(worker, PARCELS, sizeof *parcels);
    for (size_t i = 0; i < PARCELS; i++)
        parcels[i].count = PARCEL_BLOCKS;
    for (uint64_t count; (count = worker_batch(worker, ROUND)) > 0;) {
        for (uint64_t i = 0; i < count; i++) {
            uint64_t at = random_below(worker, PARCELS * PARCEL_BLOCKS);
            struct block *slot = &parcels[at / PARCEL_BLOCKS].blocks[at % PARCEL_BLOCKS];
            if (slot->start != NULL)
                block_put(worker, *slot);
            *slot = block_get(worker, random_size(worker, SMALLEST, SIZE_DOUBLINGS));
        }
        /* The queue has room for all and after the pushes it holds enough: nobody waits for long,
         * and the oldest parcels are mostly another thread's. */
        for (size_t i = 0; i < PARCELS; i++)
            handover_push(queue, &parcels[i]);
        for (size_t i = 0; i < PARCELS; i++)
            handover_pop(queue, &parcels[i]);
    }
    for (size_t i = 0; i < PARCELS; i++)
        block_put_all(worker, parcels[i].blocks, PARCEL_BLOCKS);
    free(parcels);
}

const struct workload workload_server = {
    .name = "server",
    .about = "threads that hand their blocks on to successors; operation: malloc and free",
    .threads = 2,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 12000000,
    .prepare = prepare,
    .work = server,
    .finish = finish,
};
