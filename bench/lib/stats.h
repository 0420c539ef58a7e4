/* Median with an interval that assumes nothing about how the samples are distributed. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* Most samples these functions take. */
#define STATS_MAX_SAMPLES 1000

/* Fewest samples for an interval. With fewer, even the whole range would hold the median of what
 * they were drawn from with under 95 % (5 samples: 1 - 2/2^5 = 93.75 %). */
#define STATS_MIN_SAMPLES 6

struct stats_summary {
    size_t samples;
    double minimum, median;
    bool has_interval; /* false below STATS_MIN_SAMPLES: ci_low and ci_high then hold the range */
    double ci_low, ci_high;
};

/* Inserts value into sorted[0..count), kept ascending; sorted has room for count + 1. */
void stats_insert(double *sorted, size_t count, double value);

/* The rank (from 1) of the sample at which the bootstrap distribution of the order statistic
 * `order` of `samples` samples reaches `probability`. A resample's order statistic is at most the
 * j-th sample exactly when `order` or more of its draws are among the j smallest, and those are
 * binomial(samples, j / samples): no resampling is needed. Source: A. D. Hutson and M. D. Ernst,
 * "The exact bootstrap mean and variance of an L-estimator", J. R. Statist. Soc. B 62 (2000). */
size_t stats_bootstrap_rank(size_t samples, size_t order, double probability);

/* Summarises ascending samples; count from 1 to STATS_MAX_SAMPLES. The interval is the 95 %
 * percentile bootstrap of the median, exact; for an even count, whose median is the mean of two
 * samples, from the lower one's 2.5 % to the upper one's 97.5 %, which encloses the mean's. */
struct stats_summary stats_summarise(const double *sorted, size_t count);

/* How far the interval reaches from the median, as a fraction of it: 0.01 is "within 1 %".
 * Infinite when there is no interval. */
double stats_spread(const struct stats_summary *summary);

#endif
