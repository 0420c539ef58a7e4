/* Median with an interval that assumes nothing about how the samples are distributed. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* Most samples these functions take: 2^-n must stay a normal double. */
#define STATS_MAX_SAMPLES 1000

/* Fewest samples for which a 95 % interval of the median exists: with 5, even the whole range
 * covers the median with only 93.75 %; with 6, with 96.9 %. */
#define STATS_MIN_SAMPLES 6

struct stats_summary {
    size_t samples;
    double minimum, median;
    bool has_interval; /* false below STATS_MIN_SAMPLES: ci_low and ci_high then hold the range */
    double ci_low, ci_high;
};

/* Inserts value into sorted[0..count), kept ascending; sorted has room for count + 1. */
void stats_insert(double *sorted, size_t count, double value);

/* The largest rank j (from 1) for which [x(j), x(n+1-j)] covers the median with at least 95 %, for
 * n <= STATS_MAX_SAMPLES samples; 0 when there is none. The number of samples below the median is
 * binomial(n, 1/2) whatever the distribution, so the interval misses with probability
 * 2 P(B <= j-1). Source: W. J. Conover, Practical Nonparametric Statistics, 3rd ed., 3.2. */
size_t stats_median_rank(size_t samples);

/* Summarises ascending samples; count from 1 to STATS_MAX_SAMPLES. */
struct stats_summary stats_summarise(const double *sorted, size_t count);

/* How far the interval reaches from the median, as a fraction of it: 0.01 is "within 1 %".
 * Infinite when there is no interval. */
double stats_spread(const struct stats_summary *summary);

#endif
