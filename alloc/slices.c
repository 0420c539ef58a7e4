/* Sets of a segment's slices: searching for runs and marking them. */
#pragma once

#include "types.h"

/* First slice at or after `from` whose bit equals `value`; SEGMENT_SLICES when there is none. */
static unsigned slices_next(const uint64_t map[SLICE_WORDS], unsigned from, bool value) {
    while (from < SEGMENT_SLICES) {
        uint64_t word = value ? map[from / 64] : ~map[from / 64];
        word >>= from % 64;
        if (word != 0)
            return from + (unsigned)__builtin_ctzl(word);
        from = (from | 63) + 1;
    }
    return SEGMENT_SLICES;
}

/* First run of `count` set slices that starts at a multiple of `alignment`, or -1. */
static int slices_find_run(const uint64_t map[SLICE_WORDS], unsigned count, unsigned alignment) {
    unsigned at = slices_next(map, 0, true);
    while (at < SEGMENT_SLICES) {
        unsigned end = slices_next(map, at, false);
        unsigned start = (unsigned)align_up(at, alignment);
        if (start + count <= end)
            return (int)start;
        at = slices_next(map, end, true);
    }
    return -1;
}

static unsigned slices_largest_run(const uint64_t map[SLICE_WORDS]) {
    unsigned largest = 0;
    for (unsigned at = slices_next(map, 0, true); at < SEGMENT_SLICES;) {
        unsigned end = slices_next(map, at, false);
        if (end - at > largest)
            largest = end - at;
        at = slices_next(map, end, true);
    }
    return largest;
}

/* The bits [start, start + count) that fall into word `word`. */
static inline uint64_t slices_mask(unsigned word, unsigned start, unsigned count) {
    unsigned first = word * 64 > start ? word * 64 : start;
    unsigned end = (word + 1) * 64 < start + count ? (word + 1) * 64 : start + count;
    if (first >= end)
        return 0;
    uint64_t bits = end - first == 64 ? ~(uint64_t)0 : (((uint64_t)1 << (end - first)) - 1);
    return bits << (first % 64);
}

static void slices_set(uint64_t map[SLICE_WORDS], unsigned start, unsigned count) {
    for (unsigned word = start / 64; word * 64 < start + count; word++)
        map[word] |= slices_mask(word, start, count);
}

static void slices_clear(uint64_t map[SLICE_WORDS], unsigned start, unsigned count) {
    for (unsigned word = start / 64; word * 64 < start + count; word++)
        map[word] &= ~slices_mask(word, start, count);
}

/* Whether any of the run is set. */
static bool slices_any(const uint64_t map[SLICE_WORDS], unsigned start, unsigned count) {
    for (unsigned word = start / 64; word * 64 < start + count; word++)
        if ((map[word] & slices_mask(word, start, count)) != 0)
            return true;
    return false;
}
