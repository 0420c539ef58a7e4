#include "ring.h"

#include <errno.h>
#include <stdlib.h>

size_t ring_slots(size_t size_bytes) {
    return size_bytes / RING_SLOT_BYTES;
}

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): full period, one word of state. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The slot's pointer: the line is the top of a multiplicative hash of the slot's number. */
static void **slot_pointer(void *memory, size_t slot) {
    size_t lines = RING_SLOT_BYTES / RING_LINE_BYTES;
    size_t line = (size_t)(((uint64_t)slot * 0x9e3779b97f4a7c15u) >> 32) % lines;
    return (void **)((char *)memory + slot * RING_SLOT_BYTES + line * RING_LINE_BYTES);
}

void **ring_build(void *memory, size_t size_bytes, uint64_t seed) {
    size_t slots = ring_slots(size_bytes);
    if (slots < 2 || slots > UINT32_MAX) {
        errno = EINVAL;
        return NULL;
    }
    uint32_t *next = malloc(slots * sizeof *next);
    if (next == NULL)
        return NULL;
    for (size_t i = 0; i < slots; i++)
        next[i] = (uint32_t)i;
    for (size_t i = slots - 1; i > 0; i--) {
        /* Below i, never i itself: that is what makes it one cycle. */
        size_t j = (size_t)(((next_random(&seed) >> 32) * i) >> 32);
        uint32_t swapped = next[i];
        next[i] = next[j];
        next[j] = swapped;
    }
    for (size_t i = 0; i < slots; i++)
        *slot_pointer(memory, i) = slot_pointer(memory, next[i]);
    free(next);
    return slot_pointer(memory, 0);
}

size_t ring_length(void **first, const void *memory, size_t size_bytes) {
    size_t slots = ring_slots(size_bytes);
    uintptr_t low = (uintptr_t)memory;
    void **at = first;
    for (size_t loads = 1; loads <= slots; loads++) {
        at = *at;
        if ((uintptr_t)at - low >= size_bytes || (uintptr_t)at % sizeof *at != 0)
            return 0;
        if (at == first)
            return loads;
    }
    return 0;
}

void **ring_chase(void **at, size_t loads) {
    for (size_t done = 0; done < loads; done += RING_UNROLL) {
#pragma GCC unroll 64
        for (int i = 0; i < RING_UNROLL; i++)
            at = *at;
    }
    return at;
}
