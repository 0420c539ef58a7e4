#include "handover.h"

#include <sched.h>
#include <string.h>

#include "clock.h"

/* Failed looks at a line before one at the clock: some 0.1 ms, so that it costs nothing beside
 * them. */
#define LOOKS 4096

typedef _Atomic uint64_t turn;

static turn *turn_at(unsigned char *line) {
    return (turn *)(void *)line;
}

/* Whether to go on waiting; *since_ns is 0 at first. */
static __attribute__((noinline)) bool may_wait(struct handover *handover, uint64_t *since_ns) {
    uint64_t now_ns = clock_ns();
    if (*since_ns == 0)
        *since_ns = now_ns;
    if (now_ns - *since_ns >= handover->patience_ns)
        atomic_store(&handover->broken, true);
    sched_yield(); /* to the other thread, should it be on the same CPU */
    return !atomic_load(&handover->broken);
}

/* Swaps `from` for `to` as soon as `from` is there. Relaxed: the numbers are all that is handed
 * over, and each swap waits for the one before it. */
static inline bool swap(struct handover *handover, turn *line, uint64_t from, uint64_t to) {
    uint64_t since_ns = 0;
    do {
        for (unsigned look = 0; look < LOOKS; look++) {
            uint64_t found = from;
            if (atomic_compare_exchange_strong_explicit(line, &found, to, memory_order_relaxed,
                                                        memory_order_relaxed))
                return true;
        }
    } while (may_wait(handover, &since_ns));
    return false;
}

/* core-to-core-latency's CAS ping-pong (github.com/nviennot/core-to-core-latency), but on numbers
 * instead of a flag: the first thread makes even ones odd, the second odd ones even. */
#define SWAPS ((uint64_t)2 * HANDOVER_ROUND_TRIPS)

static bool swap_first(struct handover *handover, unsigned char *line, uint64_t lap) {
    turn *number = turn_at(line);
    uint64_t at = lap * SWAPS, end = at + SWAPS;
    for (; at < end; at += 2)
        if (!swap(handover, number, at, at + 1))
            return false;
    /* The last one back is waited for as the others are; so the line also stays with this thread
     * for the next lap. */
    return swap(handover, number, end, end);
}

static bool swap_second(struct handover *handover, unsigned char *line, uint64_t lap) {
    turn *number = turn_at(line);
    uint64_t at = lap * SWAPS, end = at + SWAPS;
    for (; at < end; at += 2)
        if (!swap(handover, number, at + 1, at + 2))
            return false;
    return true;
}

/* Loads until `number` is there; it follows the one that the line holds now. */
static inline bool see(struct handover *handover, turn *line, uint64_t number) {
    uint64_t since_ns = 0;
    do {
        for (unsigned look = 0; look < LOOKS; look++)
            if (atomic_load_explicit(line, memory_order_acquire) == number)
                return true;
    } while (may_wait(handover, &since_ns));
    return false;
}

/* The same project's single-writer, single-reader exchange: a line for each direction, written by
 * one thread and read by the other. */
static bool store_first(struct handover *handover, unsigned char *line, uint64_t lap) {
    turn *mine = turn_at(line), *theirs = turn_at(line + HANDOVER_SPACING_BYTES);
    uint64_t at = lap * HANDOVER_ROUND_TRIPS, end = at + HANDOVER_ROUND_TRIPS;
    while (at++ < end) {
        atomic_store_explicit(mine, at, memory_order_release);
        if (!see(handover, theirs, at))
            return false;
    }
    return true;
}

static bool store_second(struct handover *handover, unsigned char *line, uint64_t lap) {
    turn *theirs = turn_at(line), *mine = turn_at(line + HANDOVER_SPACING_BYTES);
    uint64_t at = lap * HANDOVER_ROUND_TRIPS, end = at + HANDOVER_ROUND_TRIPS;
    while (at++ < end) {
        if (!see(handover, theirs, at))
            return false;
        atomic_store_explicit(mine, at, memory_order_release);
    }
    return true;
}

const struct handover_variant handover_variants[HANDOVER_VARIANTS] = {
    {"cas", 1, SWAPS, {swap_first, swap_second}},
    {"store-load", 2, HANDOVER_ROUND_TRIPS, {store_first, store_second}},
};

const struct handover_variant *handover_find(const char *name, size_t length) {
    for (size_t i = 0; i < HANDOVER_VARIANTS; i++)
        if (strlen(handover_variants[i].name) == length &&
            strncmp(handover_variants[i].name, name, length) == 0)
            return &handover_variants[i];
    return NULL;
}

size_t handover_bytes(size_t lines) {
    return lines * HANDOVER_SPACING_BYTES;
}

void handover_clear(struct handover *handover) {
    memset(handover->memory, 0, handover_bytes(handover->lines));
    handover->laps = 0;
    atomic_store(&handover->broken, false);
}

bool handover_run(struct handover *handover, const struct handover_variant *variant, size_t side,
                  uint64_t first, uint64_t laps) {
    size_t step_bytes = variant->lines_at_once * HANDOVER_SPACING_BYTES;
    unsigned char *end = handover->memory + handover_bytes(handover->lines);
    for (uint64_t lap = first; lap < first + laps; lap++)
        for (unsigned char *line = handover->memory; line < end; line += step_bytes)
            if (!variant->turns[side](handover, line, lap))
                return false;
    return true;
}

bool handover_await(struct handover *handover, const atomic_bool *flag) {
    uint64_t since_ns = 0;
    do {
        for (unsigned look = 0; look < LOOKS; look++)
            if (atomic_load(flag))
                return true;
    } while (may_wait(handover, &since_ns));
    return false;
}

uint64_t handover_count(const struct handover *handover, const struct handover_variant *variant,
                        uint64_t laps) {
    return laps * variant->handovers * handover->lines;
}

bool handover_is_whole(const struct handover *handover, const struct handover_variant *variant) {
    for (size_t i = 0; i < handover->lines; i++)
        if (atomic_load(turn_at(handover->memory + i * HANDOVER_SPACING_BYTES)) !=
            handover->laps * variant->handovers)
            return false;
    return true;
}
