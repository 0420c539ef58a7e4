#include "spans.h"

#include <float.h>

#include "aggressor.h"
#include "stats.h"

static double aggressor_rate(const struct span *span) {
    return (double)span->lines / (double)span->elapsed_ns;
}

/* Spans with a lower rate do not count: half of the rate of the busiest tenth; 0 when none moved
 * lines. */
static double least_rate(const struct span *spans, size_t count, bool all) {
    double sorted[SPANS_MAX];
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (all || !spans[i].disturbed)
            stats_insert(sorted, kept++, aggressor_rate(&spans[i]));
    if (!(sorted[kept - 1] > 0))
        return 0;
    double least = sorted[kept - 1 - kept / 10] / 2;
    return least > 0 ? least : DBL_MIN; /* any at all */
}

struct spans_summary spans_summarise(const struct span *spans, size_t count) {
    double latency[SPANS_MAX] = {0}, bandwidth[SPANS_MAX] = {0};
    uint64_t elapsed_ns = 0, loads = 0, lines = 0;
    size_t counted = 0;
    bool all = true;
    for (size_t i = 0; i < count; i++)
        all = all && spans[i].disturbed;
    double least = least_rate(spans, count, all);
    for (size_t i = 0; i < count; i++) {
        const struct span *span = &spans[i];
        if ((span->disturbed && !all) || aggressor_rate(span) < least)
            continue;
        double elapsed = (double)span->elapsed_ns;
        stats_insert(latency, counted, (double)span->chase_ns / (double)span->loads);
        stats_insert(bandwidth, counted,
                     (double)(span->lines + span->loads) * AGGRESSOR_LINE_BYTES / elapsed);
        counted++;
        elapsed_ns += span->elapsed_ns;
        loads += span->loads;
        lines += span->lines;
    }
    return (struct spans_summary){
        .latency_ns = stats_summarise(latency, counted).median,
        .bandwidth = stats_summarise(bandwidth, counted).median,
        .aggressor_rate = (double)lines / (double)elapsed_ns,
        .rate = (double)(lines + loads) / (double)elapsed_ns,
        .disturbed = all || 2 * counted < count,
    };
}
