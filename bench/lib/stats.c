#include "stats.h"

#include <math.h>

/* Probability below and above the interval: 95 % are within. */
#define TAIL 0.025

void stats_insert(double *sorted, size_t count, double value) {
    size_t at = count;
    for (; at > 0 && sorted[at - 1] > value; at--)
        sorted[at] = sorted[at - 1];
    sorted[at] = value;
}

/* P(binomial(n, p) >= k) for 0 < p < 1. The terms are summed from their logarithms, since for many
 * samples the first would underflow. */
static double binomial_tail(size_t n, double p, size_t k) {
    double sum = 0;
    for (size_t i = k; i <= n; i++)
        sum += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) +
                   (double)i * log(p) + (double)(n - i) * log1p(-p));
    return sum;
}

size_t stats_bootstrap_rank(size_t samples, size_t order, double probability) {
    size_t low = 1, high = samples; /* the largest sample reaches any probability */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (binomial_tail(samples, (double)middle / (double)samples, order) >= probability)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct stats_summary stats_summarise(const double *sorted, size_t count) {
    size_t lower = (count + 1) / 2, upper = count / 2 + 1; /* ranks of the middle sample or two */
    struct stats_summary summary = {
        .samples = count,
        .minimum = sorted[0],
        .median = (sorted[lower - 1] + sorted[upper - 1]) / 2,
        .has_interval = count >= STATS_MIN_SAMPLES,
        .ci_low = sorted[0],
        .ci_high = sorted[count - 1],
    };
    if (summary.has_interval) {
        summary.ci_low = sorted[stats_bootstrap_rank(count, lower, TAIL) - 1];
        summary.ci_high = sorted[stats_bootstrap_rank(count, upper, 1 - TAIL) - 1];
    }
    return summary;
}

double stats_spread(const struct stats_summary *summary) {
    if (!summary->has_interval)
        return INFINITY;
    return fmax(summary->ci_high - summary->median, summary->median - summary->ci_low) /
           summary->median;
}
