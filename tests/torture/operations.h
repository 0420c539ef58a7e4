/* What the threads do, one operation at a time. */
#pragma once

#include "model.h"

/* Where blocks are kept. How large one may be is decided by its slot, so that a run needs a bounded
 * amount of memory whatever is drawn. */
#define PRIVATE_SLOTS 1536
#define SHARED_SLOTS  1024

struct slot {
    atomic_flag busy; /* held while the block is taken, changed or put back */
    struct block block;
};

/* A sequence of threads, one after the other, with one sequence of operations. */
struct worker {
    unsigned number;
    _Atomic(uint64_t) operation; /* the next one */
    uint64_t keys;               /* given to blocks so far */
    unsigned forks;
    struct slot *slots; /* PRIVATE_SLOTS of them */
};

/* Blocks that pass from thread to thread. */
extern struct slot shared_slots[SHARED_SLOTS];

/* Does the worker's next operation, with choices from `chance`. */
void operate(struct worker *worker, struct chance *chance);

/* One of them by a name of its own, for a destructor of a thread's own data. */
void replace_shared(struct worker *worker, struct chance *chance);

/* Checks all blocks there are and frees them. No other thread may run. */
void free_all(struct worker *workers, unsigned count);
