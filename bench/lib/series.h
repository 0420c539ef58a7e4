/* The samples of one variant, in the order taken and sorted, and when there are enough. */
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "stats.h"

/* Samples are enough when the 95 % interval of their median is within this fraction of it. */
#define SERIES_SPREAD 0.01

struct series {
    const char *variant;
    const char *metric, *unit; /* NULL: the program's */
    size_t count;
    double values[STATS_MAX_SAMPLES];     /* as taken */
    time_t started_at[STATS_MAX_SAMPLES]; /* of the same */
    double sorted[STATS_MAX_SAMPLES];     /* the same values, ascending */
};

/* Adds a sample; there is room for STATS_MAX_SAMPLES. */
void series_add(struct series *series, double value, time_t started_at);

/* True when the interval is narrow enough, or there are max_samples. */
bool series_enough(const struct series *series, size_t max_samples);

#endif
