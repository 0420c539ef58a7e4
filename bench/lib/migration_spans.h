/* How long a reader of memory took for spans of a few loads each: the middle, and the tail that
 * waiting for pages on their way makes. */
#ifndef BENCH_MIGRATION_SPANS_H
#define BENCH_MIGRATION_SPANS_H

#include <stddef.h>
#include <stdint.h>

/* Spans that are kept of a sample; of more, every second, every fourth, ... one is. */
#define MIGRATION_SPANS_KEPT 65536

struct migration_spans {
    uint64_t *kept_ns; /* room for MIGRATION_SPANS_KEPT */
    size_t kept;
    size_t every;   /* one of so many is kept */
    uint64_t count; /* all spans */
    uint64_t total_ns, longest_ns;
};

/* Returns 0 or ENOMEM. The room is written here, so that noting a span faults no page in. */
int migration_spans_start(struct migration_spans *spans);
void migration_spans_end(struct migration_spans *spans);

/* Forgets all. */
void migration_spans_clear(struct migration_spans *spans);

void migration_spans_add(struct migration_spans *spans, uint64_t elapsed_ns);

/* ns a load, of spans of that many loads each. */
struct migration_latency {
    double median_ns, p99_ns; /* of spans: a load's average in the middle one, and in one of 100 */
    double mean_ns;           /* of all loads */
};

/* Of at least one span; sorts what is kept, so add no more. The quantiles are the smallest span
 * that so many of 100 do not exceed. */
struct migration_latency migration_spans_summarise(struct migration_spans *spans, size_t loads);

#endif
