/* One ring of pointers through a piece of memory, for dependent loads that nothing can predict.
 *
 * The memory is cut into slots; each slot holds one pointer to the pointer of another slot, and
 * following them visits every slot once before it comes back. */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stddef.h>
#include <stdint.h>

/* One load a slot. 256 bytes keep prefetchers of the next or the paired line (two lines of 64 or
 * 128 bytes) from bringing in a line that a later load wants. */
#define RING_SLOT_BYTES 256

/* The pointer lies in one of the slot's lines, a different one from slot to slot: always the first
 * would use every fourth set of the caches only, and make them look a quarter of their size. */
#define RING_LINE_BYTES 64

/* Slots have 32-bit numbers; half of what those reach is a round figure for --help. */
#define RING_MAX_BYTES ((uint64_t)512 << 30)

/* ring_chase follows this many pointers a turn, so that counting costs nothing beside the loads. */
#define RING_UNROLL 64

/* Slots in size_bytes of memory. */
size_t ring_slots(size_t size_bytes);

/* Fills memory (aligned to RING_SLOT_BYTES) with one ring in the order of a random cyclic
 * permutation: S. Sattolo, "An algorithm to generate a random cyclic permutation", Information
 * Processing Letters 22 (1986). Each page is first touched here, in rising order of addresses.
 * Returns the first pointer, or NULL with errno: EINVAL for fewer than 2 or more than 2^32 - 1
 * slots, ENOMEM when the scratch table (4 bytes a slot) cannot be had. */
void **ring_build(void *memory, size_t size_bytes, uint64_t seed);

/* Walks from first and returns after how many loads it is back: all slots are on one ring exactly
 * when that is ring_slots(size_bytes). Returns 0 when the walk leaves the memory, or is not back
 * after that many loads. */
size_t ring_length(void **first, const void *memory, size_t size_bytes);

/* Follows at least `loads` pointers (rounded up to RING_UNROLL) from `at`; each load needs the one
 * before. Returns where it ended: use it, or the compiler drops the walk. */
void **ring_chase(void **at, size_t loads);

#endif
