#include "series.h"

void series_add(struct series *series, double value, time_t started_at) {
    stats_insert(series->sorted, series->count, value);
    series->values[series->count] = value;
    series->started_at[series->count] = started_at;
    series->count++;
}

bool series_enough(const struct series *series, size_t max_samples) {
    if (series->count >= max_samples)
        return true;
    if (series->count < STATS_MIN_SAMPLES)
        return false;
    struct stats_summary summary = stats_summarise(series->sorted, series->count);
    return stats_spread(&summary) <= SERIES_SPREAD;
}
