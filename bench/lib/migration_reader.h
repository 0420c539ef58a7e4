/* A reader that follows a ring through memory while another thread has its pages moved back and
 * forth. */
#ifndef BENCH_MIGRATION_READER_H
#define BENCH_MIGRATION_READER_H

#include <stdatomic.h>

#include "crew.h"
#include "migration.h"
#include "migration_spans.h"
#include "ring.h"
#include "watch.h"

/* Loads between two looks at the clock: a look costs under 1 % of them, and a load that waits for
 * its page stands out. */
#define MIGRATION_SPAN_LOADS RING_UNROLL

struct migration_reader {
    void **at; /* on the ring */
    uint64_t min_ns;
    struct migration_spans spans;
    struct migration_shuttle *shuttle; /* NULL: nothing is moved */
    uint64_t patience_ns;              /* for the other thread to begin, and to end */
    /* Of the last reading: */
    struct watch_reading before, after;
    size_t asked; /* pages that calls asked for */
    struct migration_changes changes;
    uint64_t moving_ns; /* that the calls took */
    int error;          /* errno of the call that was refused, 0: none */
    atomic_bool begun, done;
};

/* Reads for at least min_ns from when the crew's member 1 begins to move pages, which it does all
 * the while, if there is a shuttle: after each call it looks where the pages are, so look at all
 * before the first reading. Without a shuttle, crew may be NULL. False when member 1 does not begin
 * or end in time; the process then has to end, as after crew_try. */
bool migration_read(struct migration_reader *reader, struct crew *crew);

/* What happened to the reader: what watch_compare finds, but for page faults. They are how a load
 * waits for its page, so they are measured, not a disturbance. */
enum disturbance migration_read_disturbance(const struct migration_reader *reader,
                                            const struct watch *watch, unsigned cpu);

#endif
