/* A bounded queue that hands parcels of blocks from any thread to any other. */
#ifndef ALLOCS_HANDOVER_H
#define ALLOCS_HANDOVER_H

#include <stdatomic.h>

#include "workload.h"

/* Large enough that the queue's own cost, shared lines included, is below a nanosecond a block. */
#define PARCEL_BLOCKS 128

struct parcel {
    size_t count;
    struct block blocks[PARCEL_BLOCKS];
};

/* D. Vyukov's bounded queue for many producers and consumers: a cell's turn says which push or pop
 * may use it next, so each side claims a cell with one compare-and-swap. */
struct handover_cell {
    _Alignas(64) atomic_size_t turn;
    struct parcel parcel;
};

struct handover {
    _Alignas(64) atomic_size_t pushed;
    _Alignas(64) atomic_size_t popped;
    _Alignas(64) atomic_uint producers; /* that have not said that they are done */
    size_t cells_count;                 /* a power of two */
    struct handover_cell *cells;
};

/* Ends the process when there is no memory. */
void handover_open(struct handover *queue, const struct worker *worker, size_t cells_count,
                   unsigned producers);
void handover_close(struct handover *queue);

/* Yields the CPU while the queue is full. */
void handover_push(struct handover *queue, const struct parcel *parcel);

/* Yields the CPU while the queue is empty; false when it is and all producers are done. */
bool handover_pop(struct handover *queue, struct parcel *parcel);

/* A producer pushes no more. */
void handover_done(struct handover *queue);

#endif
