#include "levels.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "stats.h"

#define FLAT_RISE       1.05
#define FLAT_POINTS     3
#define SAME_LEVEL      1.15
#define EDGE_LEAST_PART 0.4
#define EDGE_MOST_PART  1.6

static double median_of(const struct levels_point *points, size_t first, size_t last) {
    double sorted[STATS_MAX_SAMPLES];
    size_t count = 0;
    for (size_t i = first; i <= last && count < STATS_MAX_SAMPLES; i++, count++)
        stats_insert(sorted, count, points[i].latency_ns);
    return stats_summarise(sorted, count).median;
}

/* Adds a flat part, or joins it to the one before. */
static size_t add_flat(const struct levels_point *points, size_t first, size_t last,
                       struct level *levels, size_t count) {
    double latency_ns = median_of(points, first, last);
    if (count > 0 && latency_ns < levels[count - 1].latency_ns * SAME_LEVEL) {
        struct level *before = &levels[count - 1];
        before->last = last;
        before->latency_ns = median_of(points, before->first, last);
        return count;
    }
    if (count == LEVELS_MAX)
        return count;
    levels[count] = (struct level){.first = first, .last = last, .latency_ns = latency_ns};
    return count + 1;
}

/* The last place at which the curve crosses the value between two levels. */
static uint64_t find_edge(const struct levels_point *points, const struct level *below,
                          const struct level *above) {
    double half_ns = sqrt(below->latency_ns * above->latency_ns);
    size_t at = above->first;
    while (at > below->first + 1 && points[at - 1].latency_ns > half_ns)
        at--;
    const struct levels_point *low = &points[at - 1], *high = &points[at];
    double part = log(half_ns / low->latency_ns) / log(high->latency_ns / low->latency_ns);
    part = part > 0 ? fmin(part, 1) : 0; /* also where both are equal */
    return (uint64_t)llround((double)low->size_bytes *
                             pow((double)high->size_bytes / (double)low->size_bytes, part));
}

/* How far from a cache's size a level ends: 0 at it, the same at half and at twice of it. */
static double distance_to(const struct level *level, const struct levels_cache *cache) {
    return fabs(log((double)level->edge_bytes / (double)cache->size_bytes));
}

/* Gives a cache to the level whose edge is nearest to its size, if any is near enough. `end` is
 * where the levels with an edge end. */
static void name_by_size(struct level *levels, size_t end, const struct levels_cache *cache) {
    struct level *nearest = NULL;
    double least = INFINITY;
    for (size_t i = 0; i < end; i++) {
        double part = (double)levels[i].edge_bytes / (double)cache->size_bytes;
        double distance = distance_to(&levels[i], cache);
        if (part < EDGE_LEAST_PART || part > EDGE_MOST_PART || distance >= least)
            continue;
        nearest = &levels[i];
        least = distance;
    }
    if (nearest != NULL && (nearest->cache == NULL || least < distance_to(nearest, nearest->cache)))
        nearest->cache = cache;
}

/* Gives a level that no size fits the one cache that may be meant: the levels and caches around it
 * are named, and no other of either is between them. `end` is where the levels of caches end. */
static void name_by_elimination(struct level *levels, size_t end, const struct levels_cache *caches,
                                size_t cache_count) {
    const struct levels_cache *next_cache = caches; /* the nearest that may be meant */
    for (size_t i = 0; i < end; i++) {
        if (levels[i].cache != NULL) {
            next_cache = levels[i].cache + 1;
            continue;
        }
        bool alone = i + 1 == end || levels[i + 1].cache != NULL;
        const struct levels_cache *above =
            i + 1 == end ? caches + cache_count : levels[i + 1].cache;
        bool follows_named = i == 0 || levels[i - 1].cache != NULL;
        if (alone && follows_named && above == next_cache + 1)
            levels[i].cache = next_cache;
    }
}

static void name_level(struct level *level, size_t number, bool is_memory) {
    if (level->cache != NULL)
        snprintf(level->name, sizeof level->name, "%s", level->cache->name);
    else if (is_memory)
        snprintf(level->name, sizeof level->name, "memory");
    else
        snprintf(level->name, sizeof level->name, "level %zu", number);
}

size_t levels_find(const struct levels_point *points, size_t count,
                   const struct levels_cache *caches, size_t cache_count,
                   struct level levels[LEVELS_MAX]) {
    size_t found = 0, first = 0;
    for (size_t i = 1; i <= count; i++) {
        if (i < count && points[i].latency_ns < points[i - 1].latency_ns * FLAT_RISE)
            continue;
        if (i - first >= FLAT_POINTS)
            found = add_flat(points, first, i - 1, levels, found);
        first = i;
    }
    for (size_t i = 0; i + 1 < found; i++)
        levels[i].edge_bytes = find_edge(points, &levels[i], &levels[i + 1]);
    for (size_t i = 0; i < cache_count && found > 0; i++)
        name_by_size(levels, found - 1, &caches[i]);
    uint64_t largest = cache_count > 0 ? caches[cache_count - 1].size_bytes : 0;
    bool has_memory = found > 0 && points[levels[found - 1].last].size_bytes > largest;
    if (has_memory)
        name_by_elimination(levels, found - 1, caches, cache_count);
    for (size_t i = 0; i < found; i++)
        name_level(&levels[i], i + 1, has_memory && i + 1 == found);
    return found;
}
