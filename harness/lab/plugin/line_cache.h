/*
 * Which accesses a small cache a CPU does not serve, and which lines another CPU has written since
 * (only the counting plugin asks for the latter). Apart from QEMU, so that it can be tested alone.
 */
#ifndef NUMA_LAB_LINE_CACHE_H
#define NUMA_LAB_LINE_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    LINE_SHIFT = 6, /* lines of 64 bytes */
    LINE_BYTES = 1 << LINE_SHIFT,
    CACHE_WAYS = 4, /* so that the three streams of STREAM's kernels never evict each other */
    CACHE_BYTES_DEFAULT = 256 << 10, /* for a program's hot data; a benchmark's arrays exceed it */
    CACHE_BYTES_MIN = LINE_BYTES * CACHE_WAYS,
    CACHE_BYTES_MAX = 1 << 30,
    WRITER_BITS = 9, /* a CPU's number plus 1, up to 256 */
};

/* A CPU's cache, of at least CACHE_BYTES_MIN. A set holds its lines, the last used first: their
 * numbers plus 1 (0 is empty), and the version each had when it was fetched or written. */
struct cached_line {
    uint64_t number_plus_1;
    uint32_t version;
};

struct line_cache {
    uint64_t sets; /* a power of two */
    struct cached_line (*set)[CACHE_WAYS];
};

static inline bool line_cache_make(struct line_cache *cache, uint64_t bytes) {
    for (cache->sets = 1; cache->sets * 2 * CACHE_BYTES_MIN <= bytes;)
        cache->sets *= 2;
    cache->set = calloc(cache->sets, sizeof *cache->set);
    return cache->set != NULL;
}

static inline void line_cache_empty(struct line_cache *cache) {
    for (uint64_t i = 0; i < cache->sets; i++)
        for (int way = 0; way < CACHE_WAYS; way++)
            cache->set[i][way] = (struct cached_line){0};
}

enum touch {
    TOUCH_HIT,
    TOUCH_MISS,
    TOUCH_STALE, /* was cached, but is of another version now: another CPU has written it */
};

/* A line's version changes when a CPU writes it that others have read, or that another wrote last.
 * Lines share entries, when there are fewer: two lines of one entry make each other stale. */
struct line_versions {
    uint64_t entries; /* a power of two */
    _Atomic(uint32_t)
        *entry; /* number of changes, "others have read it" (1 bit), writer (WRITER_BITS) */
};

enum {
    VERSION_READ = 1 << WRITER_BITS,
    VERSION_WRITER_MASK = VERSION_READ - 1,
    VERSION_ONE = 2 << WRITER_BITS,
};

static inline bool line_versions_make(struct line_versions *versions, uint64_t entries) {
    versions->entries = entries;
    versions->entry = calloc(entries, sizeof *versions->entry);
    return versions->entry != NULL;
}

/* What an access finds and what it leaves: a cached line is as good as `before`'s, and is of
 * version `after` then. */
struct line_version {
    uint32_t before, after;
};

static inline struct line_version line_version_access(struct line_versions *versions,
                                                      uint64_t address, unsigned cpu, bool store) {
    _Atomic(uint32_t) *entry = &versions->entry[(address >> LINE_SHIFT) & (versions->entries - 1)];
    uint32_t old = atomic_load_explicit(entry, memory_order_relaxed), new;
    uint32_t writer = cpu + 1;

    do {
        bool mine = (old & VERSION_WRITER_MASK) == writer;

        if (!store)
            new = mine ? old : old | VERSION_READ;
        else if (mine && !(old & VERSION_READ))
            new = old;
        else
            new = ((old & ~(uint32_t)(VERSION_ONE - 1)) + VERSION_ONE) | writer;
    } while (new != old && !atomic_compare_exchange_weak_explicit(
                               entry, &old, new, memory_order_relaxed, memory_order_relaxed));
    return (struct line_version){old / VERSION_ONE, new / VERSION_ONE};
}

/* Looks for the line of `address`. It is cached afterwards, instead of its set's least recently
 * used. */
static inline enum touch line_cache_touch(struct line_cache *cache, uint64_t address,
                                          struct line_version version) {
    uint64_t number = address >> LINE_SHIFT;
    struct cached_line *set = cache->set[number & (cache->sets - 1)];
    struct cached_line wanted = {number + 1, version.after}, moved = set[0];

    for (int way = 1; moved.number_plus_1 != wanted.number_plus_1 && way < CACHE_WAYS; way++) {
        struct cached_line next = set[way];

        set[way] = moved;
        moved = next;
    }
    set[0] = wanted;
    if (moved.number_plus_1 != wanted.number_plus_1)
        return TOUCH_MISS;
    return moved.version == version.before ? TOUCH_HIT : TOUCH_STALE;
}

#endif
