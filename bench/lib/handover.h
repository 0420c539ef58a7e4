/* Cache lines that two threads hand to each other in turns, each turn counted in the line itself.
 */
#ifndef BENCH_HANDOVER_H
#define BENCH_HANDOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From one line to the next: an odd number of 64-byte lines, so that sets of a cache, slices and
 * home agents take their turns whatever power of two they are chosen by; and far enough that
 * neither a line of 128 bytes nor a prefetcher of neighbours joins two of them. */
#define HANDOVER_SPACING_BYTES ((size_t)37 * 64)

/* Round trips on a line before both go on to the next. Going on costs the first thread one access
 * to a line that it has already: one for 128 hand-overs. */
#define HANDOVER_ROUND_TRIPS 64

/* The lines of both threads. Once a lap, both go through all of them. */
struct handover {
    unsigned char *memory; /* of handover_bytes(lines), aligned to a page */
    size_t lines;          /* even */
    uint64_t patience_ns;  /* the longest wait for the other's turn */
    uint64_t laps;         /* since handover_clear; the caller counts them */
    atomic_bool broken;    /* a turn did not come: both stop */
};

/* A table row is a way to hand a line over. */
struct handover_variant {
    const char *name;
    size_t lines_at_once; /* that the threads take their turns on */
    uint64_t handovers;   /* of each line in a lap, one way; each adds 1 to the number in it */
    /* The turns of the two threads in one lap, on the lines at `line`. False when the handover is
     * broken. */
    bool (*turns[2])(struct handover *handover, unsigned char *line, uint64_t lap);
};

#define HANDOVER_VARIANTS 2
extern const struct handover_variant handover_variants[HANDOVER_VARIANTS];

/* NULL when there is none of that name, of `length` letters. */
const struct handover_variant *handover_find(const char *name, size_t length);

/* Bytes that the lines span. */
size_t handover_bytes(size_t lines);

/* Before the first lap of a variant: writes all lines. */
void handover_clear(struct handover *handover);

/* One thread's part of `laps` laps, of which the first is number `first` since handover_clear; the
 * other side does the same at the same time. Side 0 returns once the last line is back. False when
 * the other did not take its turn within the patience. */
bool handover_run(struct handover *handover, const struct handover_variant *variant, size_t side,
                  uint64_t first, uint64_t laps);

/* Waits for the flag to be set, with the same patience. */
bool handover_await(struct handover *handover, const atomic_bool *flag);

/* One-way hand-overs in so many laps. */
uint64_t handover_count(const struct handover *handover, const struct handover_variant *variant,
                        uint64_t laps);

/* Whether every line holds what handover->laps laps leave in it: a turn is taken only on the exact
 * number that the other's turn before it left, so each line was then handed over as often as every
 * other and in strict turns. */
bool handover_is_whole(const struct handover *handover, const struct handover_variant *variant);

#endif
