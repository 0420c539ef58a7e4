/* A ring of pointers through memory: each load tells the address of the next.
 *
 * The memory is a row of slots; a lap visits every slot once, and the ring runs through as many
 * laps as a slot has lines. Each lap takes another line of a slot. So the ring is as long as the
 * memory has lines and touches every one of them (a lap alone would fit a cache of a part of its
 * size), and still leaves a slot's width between the lines that are in use together. */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_LINE_BYTES 64

/* 256 bytes keep prefetchers of the next or the paired line (64 or 128 bytes on) from bringing in a
 * line that a load soon wants. */
#define RING_SLOT_BYTES 256
#define RING_LAPS       (RING_SLOT_BYTES / RING_LINE_BYTES)

/* Widest slot, for strides. */
#define RING_SLOT_MAX_BYTES ((size_t)64 << 10)

/* Slots have 32-bit numbers; half of what those reach is a round figure for --help. */
#define RING_MAX_BYTES ((uint64_t)512 << 30)

/* ring_chase follows this many pointers a turn, so that counting costs nothing beside the loads. */
#define RING_UNROLL 64

/* Places along the ring, an equal number of loads apart, that are known when it is laid: where
 * chains in parallel begin, and the ring is proven from all of them at a time. */
#define RING_STARTS 16

/* The order in which a lap visits its slots. */
struct ring_shape {
    size_t slot_bytes; /* a power of two, from a line to RING_SLOT_MAX_BYTES */
    bool in_order;     /* by rising address: a stride of slot_bytes; else at random */
    /* At random: all slots of such a group in random order, then those of another; a multiple of
     * slot_bytes. 0: the memory is one group. With groups of a few pages most loads find their
     * address translation cached. */
    size_t group_bytes;
};

struct ring {
    const void *memory;
    size_t size_bytes;
    size_t slots;
    size_t lines;               /* loads once around */
    void **starts[RING_STARTS]; /* starts[0] is the first of all */
};

/* Lays one ring over the whole of memory, which is aligned to a slot; less than a slot at its end
 * stays unused, and the last group may be shorter. A lap's order is a random
 * cyclic permutation, of groups and of each group's slots: S. Sattolo, "An algorithm to generate a
 * random cyclic permutation", Information Processing Letters 22 (1986). Each page is first touched
 * here, in rising order of addresses. Returns 0 or an errno: EINVAL for fewer than 2 or more than
 * 2^32 - 1 slots, ENOMEM when the scratch tables (4 bytes a slot, and a group) cannot be had. */
int ring_lay(struct ring *ring, void *memory, size_t size_bytes, const struct ring_shape *shape,
             uint64_t seed);

/* ring_lay with slots of RING_SLOT_BYTES, in random order throughout. */
int ring_build(struct ring *ring, void *memory, size_t size_bytes, uint64_t seed);

/* Walks the whole ring: true when following starts[0] comes back after exactly `lines` loads and
 * not before, which is to say that all lines are on one ring, each once. False too when a pointer
 * leaves the memory. Walked from all starts side by side, which takes a part of the time. */
bool ring_is_whole(const struct ring *ring);

/* Follows at least `loads` pointers (rounded up to RING_UNROLL) from `at`; each load needs the one
 * before. Returns where it ended: use it, or the compiler drops the walk. */
void **ring_chase(void **at, size_t loads);

/* Follows at least `loads` pointers (rounded up to RING_UNROLL) from each of at[0..chains), side by
 * side; chains is from 1 to RING_STARTS. The same for 1 as ring_chase. */
void ring_chase_many(void **at[RING_STARTS], size_t chains, size_t loads);

#endif
