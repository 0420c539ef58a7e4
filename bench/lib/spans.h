/* What a victim and the aggressors beside it did in short spans of time, and what that says of the
 * memory. */
#ifndef BENCH_SPANS_H
#define BENCH_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most spans in a sample, 0.4 ms each by default. */
#define SPANS_MAX 256

struct span {
    uint64_t elapsed_ns; /* between two counts of lines, above 0 */
    uint64_t chase_ns;   /* of that, what the victim's loads took; the rest is counting */
    uint64_t loads;      /* the victim's, above 0 */
    uint64_t lines;      /* that all aggressors read or wrote */
    bool disturbed;      /* the victim was preempted in it, or faulted */
};

/* Of the spans that count. Latency (ns a load) and bandwidth (GB/s, victim and aggressors) are
 * medians; the rates are what was moved in all of them over the time they took, in lines/ns. */
struct spans_summary {
    double latency_ns, bandwidth;
    double aggressor_rate; /* without the victim's loads */
    double rate;           /* with them */
    bool disturbed;        /* fewer than half of the spans count */
};

/* Counts the spans in which victim and aggressors ran: the victim was left alone, and the
 * aggressors moved something, at least half as fast as in the busiest tenth of such spans. One in
 * which a thread has lost its CPU, for some us or ms, says nothing of the memory, and on a busy
 * machine there are many. Where no lines were moved, as when the aggressors rest, their part does
 * not matter; where the victim was left alone in no span, all count. `count` is from 1 to
 * SPANS_MAX.
 */
struct spans_summary spans_summarise(const struct span *spans, size_t count);

#endif
