/* When a measurement has stopped changing because of its own start: the processor's clock comes up,
 * caches and page-walk caches fill, an emulator translates. */
#ifndef BENCH_WARMUP_H
#define BENCH_WARMUP_H

#include <stdbool.h>
#include <stddef.h>

/* A warm-up's spans are this part of the shortest sample. */
#define WARMUP_PART 10

/* After so many spans it ends whether or not the machine has settled: on a noisy one it never
 * would. */
#define WARMUP_MOST 50

struct warmup {
    double latest[6]; /* the oldest first */
    size_t spans;
    bool settled;
};

/* Takes the time, rate or latency of one more span. True when warm: the medians of the latest three
 * spans and of the three before differ by at most `tolerance` (a fraction), or there are too many.
 */
bool warmup_add(struct warmup *warmup, double value, double tolerance);

#endif
