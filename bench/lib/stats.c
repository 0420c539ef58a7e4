#include "stats.h"

#include <math.h>

void stats_insert(double *sorted, size_t count, double value) {
    size_t at = count;
    for (; at > 0 && sorted[at - 1] > value; at--)
        sorted[at] = sorted[at - 1];
    sorted[at] = value;
}

size_t stats_median_rank(size_t samples) {
    double term = ldexp(1.0, -(int)samples); /* P(B = 0) */
    double below = term;                     /* P(B <= rank) */
    size_t rank = 0;
    while (2 * below <= 0.05) {
        rank++;
        term *= (double)(samples + 1 - rank) / (double)rank;
        below += term;
    }
    return rank;
}

struct stats_summary stats_summarise(const double *sorted, size_t count) {
    size_t rank = stats_median_rank(count);
    size_t low = rank > 0 ? rank - 1 : 0;
    return (struct stats_summary){
        .samples = count,
        .minimum = sorted[0],
        .median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2,
        .has_interval = rank > 0,
        .ci_low = sorted[low],
        .ci_high = sorted[count - 1 - low],
    };
}

double stats_spread(const struct stats_summary *summary) {
    if (!summary->has_interval)
        return INFINITY;
    return fmax(summary->ci_high - summary->median, summary->median - summary->ci_low) /
           summary->median;
}
