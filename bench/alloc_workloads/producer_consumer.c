/* One thread only allocates, another only frees: pipelines, where a reader parses and a writer ends
 * each message. No thread's own cache ever refills: every block must find its way back. */
#include "handover.h"
#include "workloads.h"

#define PARCELS        64 /* so at most 8,192 blocks of a pair are under way */
#define SMALLEST       16
#define SIZE_DOUBLINGS 6 /* up to 1 KiB */

static bool produces(unsigned index) {
    return index % 2 == 0;
}

static void prepare(struct run *run) {
    struct worker first = {.run = run};
    struct handover *queues = worker_table(&first, run->threads / 2, sizeof *queues);
    for (unsigned i = 0; i < run->threads / 2; i++)
        handover_open(&queues[i], &first, PARCELS, 1);
    run->shared = queues;
}

static void finish(struct run *run) {
    struct handover *queues = run->shared;
    for (unsigned i = 0; i < run->threads / 2; i++)
        handover_close(&queues[i]);
    free(queues);
}

static void produce(struct worker *worker, struct handover *queue) {
    struct parcel parcel;
    for (uint64_t count; (count = worker_batch(worker, PARCEL_BLOCKS)) > 0;) {
        parcel.count = count;
        for (uint64_t i = 0; i < count; i++)
            parcel.blocks[i] = block_get(worker, random_size(worker, SMALLEST, SIZE_DOUBLINGS));
        handover_push(queue, &parcel);
    }
    handover_done(queue);
}

static void consume(const struct worker *worker, struct handover *queue) {
    struct parcel parcel;
    while (handover_pop(queue, &parcel))
        for (size_t i = 0; i < parcel.count; i++)
            block_put(worker, parcel.blocks[i]);
}

static void producer_consumer(struct worker *worker) {
    struct handover *queues = worker->run->shared;
    if (produces(worker->index))
        produce(worker, &queues[worker->index / 2]);
    else
        consume(worker, &queues[worker->index / 2]);
}

const struct workload workload_producer_consumer = {
    .name = "producer-consumer",
    .about =
        "one thread of a pair allocates, the other frees; operation: a malloc there, a free here",
    .threads = 2,
    .threads_min = 2,
    .threads_step = 2,
    .operations = 12000000,
    .has_share = produces,
    .prepare = prepare,
    .work = producer_consumer,
    .finish = finish,
};
