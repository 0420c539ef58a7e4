/*
 * The pacing plugin's arithmetic: when the line that a CPU fetches has come. All in one unit of
 * time, and apart from QEMU and its clock, so that it can be tested alone.
 *
 * A link joins the CPUs of a node with the memory of a node. It carries one line after the other,
 * in the order in which they were asked for, each taking `line_time`; its queue is one number, the
 * time when it is free again. Two kinds of fetches:
 * - a demand miss comes `latency` after it was asked for, plus what it waited for the link;
 * - a line of a sequential stream was asked for ahead, by a prefetcher. A CPU may have
 *   STREAM_DEPTH such lines on their way: with one more it waits for the oldest. So a stream runs
 *   at the link's rate, and a saturated link has a queue of STREAM_DEPTH lines from each CPU that
 *   streams, which a demand miss has to wait for.
 *
 * A fetch begins when the CPU's previous one was complete, not when the emulator came to it: its
 * own cost is part of the latency instead of adding to it, and so is what the guest computes.
 * Whoever comes too late even so has no line at once and no claim to past time: being idle earns
 * nothing. But for what the host took from a CPU, by running something else, its own time stays
 * behind the clock, and it catches up as fast as the emulator can, unless others have used the link
 * meanwhile. Nobody's latency and no lone stream's rate depend on how busy the host is, then.
 *
 * Not modelled: lines written back (a store fetches its line as a load does, and that is all),
 * several random misses at once, a cache shared by CPUs, lines handed from cache to cache, what
 * links share with each other, what a prefetcher fetches in vain, refreshes, the TLB.
 */
#ifndef NUMA_LAB_PACE_MODEL_H
#define NUMA_LAB_PACE_MODEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* As many as a CPU core of the 2010s and 2020s has buffers for lines on their way: 10 to 16. */
enum { STREAM_DEPTH = 12 };

/* Used by several CPUs' threads, so each on a cache line of its own. */
struct link {
    _Atomic(uint64_t) free_from;
    uint64_t latency, line_time;
} __attribute__((aligned(64)));

/* A CPU's fetches one after the other. */
struct timeline {
    uint64_t end;  /* of its previous fetch, the begin of the next */
    uint64_t owed; /* taken by the host: how far `end` may stay behind the clock */
    /* When the last STREAM_DEPTH lines of streams were over the link, from the oldest on. */
    uint64_t over_link[STREAM_DEPTH];
    unsigned oldest;
};

static inline uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static inline uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* What a CPU may be owed: at most `most`, and nothing from before a pause of its own, in which it
 * computed or was idle, longer than `pause`: a new measurement begins with no debts. */
struct owing {
    uint64_t most, pause;
};

/* Before the fetch that the CPU comes to `now`: the host took `taken` since the previous one. */
static inline void timeline_owe(struct timeline *timeline, uint64_t now, uint64_t taken,
                                const struct owing *owing) {
    uint64_t behind = now > timeline->end ? now - timeline->end : 0;
    uint64_t owed = timeline->owed + taken;

    if (behind > owed + owing->pause)
        owed = taken;
    timeline->owed = earlier(earlier(owed, owing->most), behind);
}

/* When a line asked for at `asked` would begin to be carried. */
static inline uint64_t link_free_from(const struct link *link, uint64_t asked) {
    return later(asked, atomic_load_explicit(&link->free_from, memory_order_relaxed));
}

/* Takes the link for such a line; returns the same. */
static inline uint64_t link_take(struct link *link, uint64_t asked) {
    uint64_t free_from = atomic_load_explicit(&link->free_from, memory_order_relaxed), begin;

    do
        begin = later(asked, free_from);
    while (!atomic_compare_exchange_weak_explicit(&link->free_from, &free_from,
                                                  begin + link->line_time, memory_order_relaxed,
                                                  memory_order_relaxed));
    return begin;
}

/* When the line has come, and from when on a CPU that is only then ready for it comes too late for
 * its rate to be kept: it has not made use of what it had on its way. */
struct fetch {
    uint64_t end, late_from;
};

/* A demand miss. A CPU that is behind the clock finds the link's queue as it is now, and adds
 * nothing to it: else the lines of all the time it lost would stand there at once, before its own.
 */
static inline struct fetch demand_fetch(const struct timeline *timeline, struct link *link) {
    uint64_t asked = timeline->end + timeline->owed;
    uint64_t begin = timeline->owed == 0 ? link_take(link, asked) : link_free_from(link, asked);
    uint64_t end = timeline->end + (begin - asked) + link->latency;

    return (struct fetch){end, end};
}

/* A line of a stream. */
static inline struct fetch stream_fetch(struct timeline *timeline, struct link *link) {
    uint64_t newest = timeline->over_link[(timeline->oldest + STREAM_DEPTH - 1) % STREAM_DEPTH];
    uint64_t *oldest = &timeline->over_link[timeline->oldest];
    uint64_t end = later(timeline->end, *oldest);

    *oldest = link_take(link, end) + link->line_time;
    timeline->oldest = (timeline->oldest + 1) % STREAM_DEPTH;
    return (struct fetch){end, later(end, newest)};
}

static inline bool fetch_is_late(const struct timeline *timeline, struct fetch fetch,
                                 uint64_t now) {
    return now > fetch.late_from + timeline->owed;
}

/* The fetch is over at its end, or `now` if that is past, but for what the CPU is owed. The caller
 * is to wait until the timeline's end. */
static inline void timeline_go_on(struct timeline *timeline, struct fetch fetch, uint64_t now) {
    uint64_t behind = now > fetch.end ? now - fetch.end : 0;

    timeline->owed = earlier(timeline->owed, behind);
    timeline->end = later(fetch.end, now) - timeline->owed;
}

#endif
