/* One ring of pointers through a piece of memory, for dependent loads that nothing can predict.
 *
 * The memory is cut into slots of 256 bytes, and a slot into lines of 64. A lap visits every slot
 * once, in one random order, through one line of each; the next lap takes another line of each, and
 * the last lap ends where the first began. So the ring is slots x RING_LAPS loads long, touches
 * every line of the memory (a lap alone would fit a cache of a quarter of its size), and still
 * leaves 256 bytes between the lines that are in use together. */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 256 bytes keep prefetchers of the next or the paired line (64 or 128 bytes on) from bringing in a
 * line that a load soon wants. */
#define RING_SLOT_BYTES 256
#define RING_LINE_BYTES 64
#define RING_LAPS       (RING_SLOT_BYTES / RING_LINE_BYTES)

/* Slots have 32-bit numbers; half of what those reach is a round figure for --help. */
#define RING_MAX_BYTES ((uint64_t)512 << 30)

/* ring_chase follows this many pointers a turn, so that counting costs nothing beside the loads. */
#define RING_UNROLL 64

struct ring {
    const void *memory;
    size_t size_bytes;
    size_t slots;
    void **starts[RING_LAPS]; /* the first pointer of each lap; starts[0] is where to begin */
};

/* Lays one ring over the whole of memory, which is aligned to RING_SLOT_BYTES; less than a slot at
 * its end stays unused. A lap's order is a random cyclic permutation: S. Sattolo, "An algorithm to
 * generate a random cyclic permutation", Information Processing Letters 22 (1986). Each page is
 * first touched here, in rising order of addresses. Returns 0 or an errno: EINVAL for fewer than 2
 * or more than 2^32 - 1 slots, ENOMEM when the scratch table (4 bytes a slot) cannot be had. */
int ring_build(struct ring *ring, void *memory, size_t size_bytes, uint64_t seed);

/* Walks the whole ring: true when following starts[0] comes back after slots x RING_LAPS loads and
 * not before, which is to say that all lines are on one ring. False too when a pointer leaves the
 * memory. The laps are walked side by side, so it takes the time of one. */
bool ring_is_whole(const struct ring *ring);

/* Follows at least `loads` pointers (rounded up to RING_UNROLL) from `at`; each load needs the one
 * before. Returns where it ended: use it, or the compiler drops the walk. */
void **ring_chase(void **at, size_t loads);

#endif
