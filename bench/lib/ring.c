#include "ring.h"

#include <errno.h>
#include <stdlib.h>

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): full period, one word of state. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The pointer of a slot in a lap. Which line a slot begins with is the top of a multiplicative hash
 * of its number, so that each lap uses all sets of a cache. The other line of a 128-byte pair comes
 * two laps later, when what a pair prefetcher brought in with it is long gone. */
static void **lap_pointer(void *memory, size_t slot, size_t lap) {
    static const unsigned char turn[] = {0, 2, 1, 3};
    _Static_assert(sizeof turn == RING_LAPS, "each lap takes another line");
    size_t begin = (size_t)(((uint64_t)slot * 0x9e3779b97f4a7c15u) >> 62);
    size_t line = begin ^ turn[lap];
    return (void **)((char *)memory + slot * RING_SLOT_BYTES + line * RING_LINE_BYTES);
}

/* Fills next[0..slots) with a random permutation that is one cycle. */
static void permute(uint32_t *next, size_t slots, uint64_t seed) {
    for (size_t i = 0; i < slots; i++)
        next[i] = (uint32_t)i;
    for (size_t i = slots - 1; i > 0; i--) {
        /* Below i, never i itself: that is what makes it one cycle. */
        size_t j = (size_t)(((next_random(&seed) >> 32) * i) >> 32);
        uint32_t swapped = next[i];
        next[i] = next[j];
        next[j] = swapped;
    }
}

int ring_build(struct ring *ring, void *memory, size_t size_bytes, uint64_t seed) {
    size_t slots = size_bytes / RING_SLOT_BYTES;
    if (slots < 2 || slots > UINT32_MAX)
        return EINVAL;
    uint32_t *next = malloc(slots * sizeof *next);
    if (next == NULL)
        return ENOMEM;
    permute(next, slots, seed);
    for (size_t slot = 0; slot < slots; slot++) {
        /* The cycle comes back to slot 0, which is where a lap ends and the next begins. */
        size_t step = next[slot] == 0 ? 1 : 0;
        for (size_t lap = 0; lap < RING_LAPS; lap++)
            *lap_pointer(memory, slot, lap) =
                lap_pointer(memory, next[slot], (lap + step) % RING_LAPS);
    }
    free(next);
    *ring = (struct ring){.memory = memory, .size_bytes = size_bytes, .slots = slots};
    for (size_t lap = 0; lap < RING_LAPS; lap++)
        ring->starts[lap] = lap_pointer(memory, 0, lap);
    return 0;
}

static bool is_line_inside(const struct ring *ring, void **at) {
    uintptr_t offset = (uintptr_t)at - (uintptr_t)ring->memory;
    return offset < ring->size_bytes && offset % RING_LINE_BYTES == 0;
}

bool ring_is_whole(const struct ring *ring) {
    void **at[RING_LAPS];
    for (size_t lap = 0; lap < RING_LAPS; lap++)
        at[lap] = ring->starts[lap];
    for (size_t loads = 1; loads <= ring->slots; loads++) {
        for (size_t lap = 0; lap < RING_LAPS; lap++) {
            at[lap] = *at[lap];
            if (!is_line_inside(ring, at[lap]))
                return false;
            /* Back at the start, but not at the end of the last lap. */
            if (at[lap] == ring->starts[0] && (loads < ring->slots || lap + 1 < RING_LAPS))
                return false;
        }
    }
    for (size_t lap = 0; lap < RING_LAPS; lap++)
        if (at[lap] != ring->starts[(lap + 1) % RING_LAPS])
            return false;
    return true;
}

void **ring_chase(void **at, size_t loads) {
    for (size_t done = 0; done < loads; done += RING_UNROLL) {
#pragma GCC unroll 64
        for (int i = 0; i < RING_UNROLL; i++)
            at = *at;
    }
    return at;
}
