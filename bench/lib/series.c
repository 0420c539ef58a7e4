#include "series.h"

#include <err.h>
#include <stdlib.h>

static void grow(struct series *series) {
    size_t capacity = series->capacity > 0 ? 2 * series->capacity : 32;
    struct sample *taken = realloc(series->taken, capacity * sizeof *taken);
    double *sorted = realloc(series->sorted, capacity * sizeof *sorted);
    if (taken == NULL || sorted == NULL)
        errx(1, "no memory for %zu samples", capacity);
    series->taken = taken;
    series->sorted = sorted;
    series->capacity = capacity;
}

void series_add(struct series *series, const struct sample *sample) {
    if (series->count == series->capacity)
        grow(series);
    series->taken[series->count++] = *sample;
    if (sample->disturbed == UNDISTURBED)
        stats_insert(series->sorted, series->undisturbed++, sample->value);
}

struct stats_summary series_summary(const struct series *series) {
    return stats_summarise(series->sorted, series->undisturbed);
}

static bool is_precise(const struct series *series, double precision) {
    if (series->undisturbed < STATS_MIN_SAMPLES)
        return false;
    struct stats_summary summary = series_summary(series);
    return stats_spread(&summary) <= precision;
}

bool series_enough(const struct series *series, size_t max_samples, double precision) {
    return series->count >= max_samples || is_precise(series, precision);
}

static bool counts_marked_ones(const struct series *series) {
    size_t marked = 0;
    for (size_t i = 0; i < series->count; i++)
        marked += series->taken[i].disturbed != UNDISTURBED;
    return marked > series->count - series->undisturbed;
}

void series_settle(struct series *series) {
    if (series->undisturbed >= STATS_MIN_SAMPLES || counts_marked_ones(series))
        return;
    for (size_t i = 0; i < series->count; i++)
        if (series->taken[i].disturbed != UNDISTURBED)
            stats_insert(series->sorted, series->undisturbed++, series->taken[i].value);
}

const char *series_stopped_by(const struct series *series, double precision) {
    if (counts_marked_ones(series))
        return "disturbed";
    return is_precise(series, precision) ? "precision" : "max-samples";
}

void series_free(struct series *series) {
    free(series->taken);
    free(series->sorted);
    series->taken = NULL;
    series->sorted = NULL;
    series->count = series->capacity = series->undisturbed = 0;
}
