/* The pacing plugin's own arithmetic: until when a line that is fetched has to wait. */
#ifndef NUMA_ALLOC_VM_PACE_MODEL_H
#define NUMA_ALLOC_VM_PACE_MODEL_H

#include <stdint.h>

/* Of each CPU's cache. */
enum { PACE_CACHE_BYTES = 128 << 10 };

/*
 * When the access that begins at `now` may end, if the CPU's previous one ended at `previous_end`:
 * one latency after that. So the emulator's own cost is part of the latency instead of adding to
 * it. What the CPU is owed, because the host took its processor away, is paid from the waiting. All
 * in one unit of time.
 */
static inline uint64_t pace_end(uint64_t previous_end, uint64_t now, uint64_t latency,
                                uint64_t *owed) {
    uint64_t end = previous_end + latency, paid;

    if (end <= now)
        return now;
    paid = end - now < *owed ? end - now : *owed;
    *owed -= paid;
    return end - paid;
}

#endif
