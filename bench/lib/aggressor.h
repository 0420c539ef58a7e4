/* The traffic of an aggressor: a thread that reads and writes memory line by line, in order, as
 * fast as it goes or at a set rate against the clock. */
#ifndef BENCH_AGGRESSOR_H
#define BENCH_AGGRESSOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGGRESSOR_LINE_BYTES 64

/* How many lines are read for how many that are written.
 *
 * A line is read by one load. An ordinary write is one store of 8 bytes: the processor fetches the
 * line to own it (write-allocate) and writes it back later, so it moves twice; storing less than
 * the line makes that certain, because processors that see whole lines stored may leave out the
 * fetch. A non-temporal write stores the whole line past the caches: it moves once. */
struct aggressor_mix {
    unsigned reads, writes; /* without a common factor; one of them may be 0 */
    bool non_temporal;
};

#define AGGRESSOR_MIX_MAX  99
#define AGGRESSOR_MIX_TEXT 16

/* Reads "R:W" or "R:W-nt", numbers up to AGGRESSOR_MIX_MAX and not both 0. False for anything else.
 */
bool aggressor_mix_parse(const char *text, struct aggressor_mix *mix);

/* "2:1", "1:1-nt"; returns text. */
const char *aggressor_mix_name(const struct aggressor_mix *mix, char text[AGGRESSOR_MIX_TEXT]);

/* Lines moved for a line counted: 1 to 2. */
double aggressor_mix_traffic(const struct aggressor_mix *mix);

/* Most bursts that are moved at once to make up for lateness: enough that looking at the clock in
 * between costs little beside them, also at 95 % of the highest rate. What a thread that lost its
 * CPU missed beyond that is not made up for, or it would overload memory for a while only to come
 * out at the right average. */
#define AGGRESSOR_BACKLOG_BURSTS 16

/* Lines are due at an even rate, and moved once at least `burst` of them are. `given` counts those
 * that were due so far, the forgotten ones included. */
struct aggressor_pace {
    double lines_per_ns;
    size_t burst; /* at least 1 */
    uint64_t started_ns;
    double given;
};

/* How many lines to move at this time; 0: wait. */
size_t aggressor_due(struct aggressor_pace *pace, uint64_t now_ns);

/* The burst for memory that loads take idle_ns to reach and that delivers lines_per_ns to all: what
 * it delivers in half of idle_ns, so that no load waits long for a burst to pass, but at least one
 * line and at most 64 (a page of 4 KiB, where hardware prefetch stops). */
size_t aggressor_burst(double idle_ns, double lines_per_ns);

/* A piece of memory that is gone through from start to end, over and over. */
struct aggressor_walk {
    char *memory;
    size_t size_bytes; /* at least a line, unless the mix has no use for it */
    size_t at;         /* where the next line is */
};

/* One a thread, and on cache lines of its own: another thread reads the count while it is written.
 * Reads and writes go through memory of their own, so that each is a stream in order. */
struct aggressor {
    struct aggressor_mix mix;
    struct aggressor_walk read, write;
    unsigned phase;         /* writes owed, in parts of reads + writes */
    _Atomic uint64_t lines; /* read or written so far, in all runs */
} __attribute__((aligned(128)));

/* Shares memory out between reads and writes as the mix does, so that either comes round as late.
 * False when it is too small for that. */
bool aggressor_lay(struct aggressor *aggressor, const struct aggressor_mix *mix, char *memory,
                   size_t size_bytes);

/* Moves lines until `stop`; `pace` is NULL for as fast as it goes. */
void aggressor_run(struct aggressor *aggressor, struct aggressor_pace *pace,
                   const atomic_bool *stop);

#endif
