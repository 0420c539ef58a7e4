#include "spans.h"

#include "aggressor.h"
#include "stats.h"

static double aggressor_rate(const struct span *span) {
    return (double)span->lines / (double)span->elapsed_ns;
}

struct spans_summary spans_summarise(const struct span *spans, size_t count) {
    double sorted[SPANS_MAX], bandwidth[SPANS_MAX];
    uint64_t elapsed_ns = 0, loads = 0, lines = 0;
    size_t counted = 0;
    for (size_t i = 0; i < count; i++)
        stats_insert(sorted, i, aggressor_rate(&spans[i]));
    double fastest = sorted[count - 1], least = sorted[count - 1 - count / 10] / 2;
    for (size_t i = 0; i < count; i++) {
        const struct span *span = &spans[i];
        if (fastest > 0 && (span->lines == 0 || aggressor_rate(span) < least))
            continue;
        double elapsed = (double)span->elapsed_ns;
        stats_insert(sorted, counted, (double)span->chase_ns / (double)span->loads);
        stats_insert(bandwidth, counted,
                     (double)(span->lines + span->loads) * AGGRESSOR_LINE_BYTES / elapsed);
        counted++;
        elapsed_ns += span->elapsed_ns;
        loads += span->loads;
        lines += span->lines;
    }
    return (struct spans_summary){
        .latency_ns = stats_summarise(sorted, counted).median,
        .bandwidth = stats_summarise(bandwidth, counted).median,
        .aggressor_rate = (double)lines / (double)elapsed_ns,
        .rate = (double)(lines + loads) / (double)elapsed_ns,
        .starved = 2 * counted < count,
    };
}
