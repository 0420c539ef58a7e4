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
    PACE_CACHE_LINES = 2048,
    PACE_NODES = 2,
    PACE_CPUS_PER_NODE = 2,
    PACE_CPUS = PACE_NODES * PACE_CPUS_PER_NODE,
};

/* One CPU's cache: direct-mapped, by virtual address. A slot holds its line's number plus 1; 0 is
 * empty. */
struct pace_cache {
    uint64_t line_plus_1[PACE_CACHE_LINES];
};

/* True when the line of `address` was cached; it is afterwards. */
static inline bool pace_cache_touch(struct pace_cache *cache, uint64_t address) {
    uint64_t line = address >> PACE_LINE_SHIFT;
    uint64_t *slot = &cache->line_plus_1[line % PACE_CACHE_LINES];

    if (*slot == line + 1)
        return true;
    *slot = line + 1;
    return false;
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
 * it. All in one unit of time.
 */
static inline uint64_t pace_end(uint64_t previous_end, uint64_t now, uint64_t latency) {
    uint64_t end = previous_end + latency;

    return end > now ? end : now;
}

#endif
