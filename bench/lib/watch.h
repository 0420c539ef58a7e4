/* Whether a thread was left alone while it was being timed. */
#ifndef BENCH_WATCH_H
#define BENCH_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/* What may befall a sample, the worst last. */
enum disturbance {
    UNDISTURBED,
    DISTURBED_FAULTED,   /* a page fault of the thread */
    DISTURBED_PREEMPTED, /* the kernel ran something else on its CPU */
    DISTURBED_MOVED,     /* it is on another CPU than it was pinned to */
    DISTURBED_CLOCK, /* the clocks disagree on how long the sample took, or the wall clock was set
                      */
};

/* "", "faulted", "preempted", "moved", "clock": the words of the CSV. */
const char *disturbance_name(enum disturbance disturbance);

/* One look at everything that is compared. */
struct watch_reading {
    uint64_t raw_ns;              /* CLOCK_MONOTONIC_RAW: what is measured with */
    uint64_t monotonic_ns;        /* CLOCK_MONOTONIC, the same but slewed by up to 0.05 % */
    int64_t wall_ns;              /* CLOCK_REALTIME: what says when */
    uint64_t ticks;               /* of the processor's own counter; 0 where none runs evenly */
    uint64_t faults, preemptions; /* of the calling thread so far (getrusage(2)) */
    unsigned cpu;
};

/* How fast the counter runs, found once; a thread that is timed compares its clock with it. */
struct watch {
    double ticks_per_ns; /* 0: there is no counter to compare with */
};

/* Compares the counter with the clock for some 10 ms; a counter that is not even is not used. */
void watch_calibrate(struct watch *watch);

void watch_read(struct watch_reading *reading);

/* What happened to the thread between two readings of its own, on a CPU it was pinned to. Clocks
 * disagree when they differ by over 1 % and over 2 ms. */
enum disturbance watch_compare(const struct watch *watch, const struct watch_reading *before,
                               const struct watch_reading *after, unsigned cpu);

#endif
