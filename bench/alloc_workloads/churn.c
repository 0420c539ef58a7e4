/* Threads that are born, allocate a little and die: a thread for each request or task, as in
 * std::async and simple servers. A thread's heap must cost little to begin, and what it leaves
 * allocated when it dies must remain usable and be freed by others. */
#include <pthread.h>

#include "workloads.h"

#define OPERATIONS     400 /* of a life at most */
#define SLOTS          64
#define SMALLEST       16
#define SIZE_DOUBLINGS 7 /* up to 2 KiB */

struct life {
    struct worker worker;
    uint64_t operations;
    struct block slots[SLOTS]; /* what it leaves behind */
};

static void *live(void *argument) {
    struct life *life = argument;
    for (uint64_t i = 0; i < life->operations; i++) {
        struct block *slot = &life->slots[random_below(&life->worker, SLOTS)];
        if (slot->start != NULL)
            block_put(&life->worker, *slot);
        *slot = block_get(&life->worker, random_size(&life->worker, SMALLEST, SIZE_DOUBLINGS));
    }
    return NULL;
}

static void churn(struct worker *worker) {
    struct life *life = worker_table(worker, 1, sizeof *life);
    for (uint64_t count; (count = worker_batch(worker, OPERATIONS)) > 0;) {
        life->worker = worker_child(worker);
        life->operations = count;
        memset(life->slots, 0, sizeof life->slots);
        pthread_t thread;
        int error = pthread_create(&thread, NULL, live, life);
        if (error != 0)
            workload_broken(worker, "cannot start a thread: %s", strerror(error));
        pthread_join(thread, NULL);
        block_put_all(worker, life->slots, SLOTS);
        worker->serial = life->worker.serial;
    }
    free(life);
}

const struct workload workload_churn = {
    .name = "churn",
    .about =
        "threads that live for 400 blocks and leave 64 to be freed; operation: malloc and free",
    .threads = 1,
    .threads_min = 1,
    .threads_step = 1,
    .operations = 1600000,
    .work = churn,
};
