/* The cache levels in a curve of latency over size: where it is flat, and where it steps up. */
#ifndef BENCH_LEVELS_H
#define BENCH_LEVELS_H

#include <stddef.h>
#include <stdint.h>

struct levels_point {
    uint64_t size_bytes;
    double latency_ns; /* median */
};

/* A cache that the system knows of. */
struct levels_cache {
    char name[8]; /* "L1d", "L2", ... */
    uint64_t size_bytes;
};

#define LEVELS_MAX 12

struct level {
    char name[32]; /* a cache's, "memory", or "level N" where no cache known ends there */
    const struct levels_cache *cache; /* NULL for others */
    size_t first, last;               /* points on the flat part */
    double latency_ns;                /* median of those */
    uint64_t edge_bytes; /* where the step to the next level is half done; 0 for the last */
};

/* Finds the flat parts of a curve of rising sizes, and names them after the caches, which are in
 * rising order too. Flat is where latency rises by under 5 % from a point to the next, over three
 * points at least; flat parts within 15 % of each other are one. An edge is where the curve crosses
 * the geometric mean of the levels it is between, straight in logarithms between two points. A
 * cache ends at an edge between 0.4 and 1.6 times its size: replacement that is not ideal and page
 * colouring blur it below, exclusive caches add up above. Where one cache and one level are left
 * over between two named ones, or between those and memory, they are taken for each other: in a
 * virtual machine much of the last cache may be others'. Returns how many there are, at most
 * LEVELS_MAX. */
size_t levels_find(const struct levels_point *points, size_t count,
                   const struct levels_cache *caches, size_t cache_count,
                   struct level levels[LEVELS_MAX]);

#endif
