/* Traffic at a set rate: a thread that reads memory line by line, in order, against the clock. */
#ifndef BENCH_INJECT_H
#define BENCH_INJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INJECT_LINE_BYTES 64

/* Most bursts that are read at once to make up for lateness: enough that looking at the clock in
 * between costs little beside them, also at 95 % of the highest rate. What a thread that lost its
 * CPU missed beyond that is not made up for, or it would overload memory for a while only to come
 * out at the right average. */
#define INJECT_BACKLOG_BURSTS 16

/* Lines are due at an even rate, and read once at least `burst` of them are. `given` counts those
 * that were due so far, the forgotten ones included. */
struct inject_pace {
    double lines_per_ns;
    size_t burst; /* at least 1 */
    uint64_t started_ns;
    double given;
};

/* How many lines to read at this time; 0: wait. */
size_t inject_due(struct inject_pace *pace, uint64_t now_ns);

/* The burst for memory that loads take idle_ns to reach and that delivers lines_per_ns to all: what
 * it delivers in half of idle_ns, so that no load waits long for a burst to pass, but at least one
 * line and at most 64 (a page of 4 KiB, where hardware prefetch stops). */
size_t inject_burst(double idle_ns, double lines_per_ns);

/* One a thread, and on lines of its own: another one reads the count while it is written. */
struct injector {
    const char *memory;
    size_t size_bytes;      /* at least a line */
    size_t at;              /* where the next line is */
    _Atomic uint64_t lines; /* read so far, in all runs */
} __attribute__((aligned(128)));

/* Reads round and round until `stop`; `pace` is NULL for as fast as it goes. */
void inject(struct injector *injector, struct inject_pace *pace, const atomic_bool *stop);

#endif
