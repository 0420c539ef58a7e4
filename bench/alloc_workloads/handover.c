#include "handover.h"

#include <sched.h>

static void parcel_copy(struct parcel *to, const struct parcel *from) {
    to->count = from->count;
    memcpy(to->blocks, from->blocks, from->count * sizeof from->blocks[0]);
}

void handover_open(struct handover *queue, const struct worker *worker, size_t cells_count,
                   unsigned producers) {
    *queue = (struct handover){.producers = producers, .cells_count = cells_count};
    queue->cells = aligned_alloc(64, cells_count * sizeof queue->cells[0]);
    if (queue->cells == NULL)
        workload_broken(worker, "no memory for a queue of %zu parcels", cells_count);
    for (size_t i = 0; i < cells_count; i++)
        atomic_init(&queue->cells[i].turn, i);
}

void handover_close(struct handover *queue) {
    free(queue->cells);
}

void handover_push(struct handover *queue, const struct parcel *parcel) {
    size_t at = atomic_load_explicit(&queue->pushed, memory_order_relaxed);
    for (;;) {
        struct handover_cell *cell = &queue->cells[at & (queue->cells_count - 1)];
        size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        if (turn == at &&
            atomic_compare_exchange_weak_explicit(&queue->pushed, &at, at + 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            parcel_copy(&cell->parcel, parcel);
            atomic_store_explicit(&cell->turn, at + 1, memory_order_release);
            return;
        }
        if (turn < at)
            sched_yield();
        at = atomic_load_explicit(&queue->pushed, memory_order_relaxed);
    }
}

bool handover_pop(struct handover *queue, struct parcel *parcel) {
    size_t at = atomic_load_explicit(&queue->popped, memory_order_relaxed);
    for (;;) {
        struct handover_cell *cell = &queue->cells[at & (queue->cells_count - 1)];
        /* Read first: a producer's last parcel is in the queue before it says that it is done. */
        bool over = atomic_load_explicit(&queue->producers, memory_order_acquire) == 0;
        size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        if (turn == at + 1 &&
            atomic_compare_exchange_weak_explicit(&queue->popped, &at, at + 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            parcel_copy(parcel, &cell->parcel);
            atomic_store_explicit(&cell->turn, at + queue->cells_count, memory_order_release);
            return true;
        }
        if (turn < at + 1) {
            if (over)
                return false;
            sched_yield();
        }
        at = atomic_load_explicit(&queue->popped, memory_order_relaxed);
    }
}

void handover_done(struct handover *queue) {
    atomic_fetch_sub_explicit(&queue->producers, 1, memory_order_release);
}
