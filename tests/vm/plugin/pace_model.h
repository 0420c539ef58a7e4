/*
 * The arithmetic of the pacing plugin, apart from QEMU so that it can be tested alone: which
 * accesses miss a small cache, which memory node an address belongs to, and until when a miss has
 * to wait.
 */
#ifndef NUMA_ALLOC_VM_PACE_MODEL_H
#define NUMA_ALLOC_VM_PACE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PACE_LINE_SHIFT = 6, /* lines of 64 bytes */
    PACE_CACHE_SETS = 512,
    PACE_CACHE_WAYS = 4, /* so that the three streams of STREAM's kernels never evict each other */
    PACE_NODES = 2,
    PACE_CPUS_PER_NODE = 2,
    PACE_CPUS = PACE_NODES * PACE_CPUS_PER_NODE,
};

/* One CPU's cache of 128 KiB, by virtual address. A set holds its lines' numbers plus 1, the last
 * used first; 0 is empty. */
struct pace_cache {
    uint64_t line_plus_1[PACE_CACHE_SETS][PACE_CACHE_WAYS];
};

/* True when the line of `address` was cached. It is afterwards, instead of its set's least recently
 * used. */
static inline bool pace_cache_touch(struct pace_cache *cache, uint64_t address) {
    uint64_t line = address >> PACE_LINE_SHIFT;
    uint64_t *set = cache->line_plus_1[line % PACE_CACHE_SETS];
    uint64_t wanted = line + 1, moved = set[0];

    if (moved == wanted)
        return true;
    for (int way = 1; way < PACE_CACHE_WAYS; way++) {
        uint64_t next = set[way];

        set[way] = moved;
        moved = next;
        if (moved == wanted)
            break;
    }
    set[0] = wanted;
    return moved == wanted;
}

/* x86-64 gives the upper half of the address space to the kernel. */
static inline bool pace_is_kernel_address(uint64_t address) {
    return address >> 47 != 0;
}

/*
 * The node of a "physical" address as QEMU tells it to plugins, or -1 for none of the two (the
 * firmware). From QEMU 9 on it is the guest's own: node 1 at [node_bytes, 2 * node_bytes). QEMU 7.2
 * adds the RAM block's place among all blocks to it, which is node_bytes again: [2 * node_bytes, 3
 * * node_bytes). Both hold only while no memory lies above 4 GiB.
 */
static inline int pace_node_of(uint64_t physical_address, uint64_t node_bytes) {
    if (physical_address < node_bytes)
        return 0;
    return physical_address < 3 * node_bytes ? 1 : -1;
}

static inline int pace_node_of_cpu(unsigned cpu) {
    return (int)(cpu / PACE_CPUS_PER_NODE) % PACE_NODES;
}

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
