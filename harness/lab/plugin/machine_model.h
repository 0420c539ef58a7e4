/*
 * What the plugins know of the machine, apart from QEMU so that it can be tested alone: which node
 * an address or a CPU belongs to, and which accesses a small cache a CPU does not serve.
 */
#ifndef NUMA_ALLOC_VM_MACHINE_MODEL_H
#define NUMA_ALLOC_VM_MACHINE_MODEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { MACHINE_NODES_MAX = 8, MACHINE_CPUS_MAX = 64 };

struct machine {
    unsigned nodes;
    unsigned cpus;
    uint64_t node_bytes;
    bool offset_counted_twice;
    int cpu_node[MACHINE_CPUS_MAX];
};

/*
 * Takes the options node_bytes, nodes and cpu_nodes (each CPU's node, as in 0:0:1:1). False when
 * they do not make a machine. `offset_counted_twice`: what QEMU 7.2 tells plugins for a physical
 * address has the RAM block's place among all blocks added once more; QEMU 10 tells the guest's own
 * address.
 */
static inline bool machine_read(struct machine *machine, uint64_t node_bytes, uint64_t nodes,
                                const char *cpu_nodes, bool offset_counted_twice) {
    machine->cpus = 0;
    machine->nodes = (unsigned)nodes;
    machine->node_bytes = node_bytes;
    machine->offset_counted_twice = offset_counted_twice;
    if (node_bytes == 0 || nodes == 0 || nodes > MACHINE_NODES_MAX || cpu_nodes == NULL)
        return false;
    for (char *end; machine->cpus < MACHINE_CPUS_MAX; cpu_nodes = end + 1) {
        unsigned long node = strtoul(cpu_nodes, &end, 10);

        if (end == cpu_nodes || node >= nodes)
            return false;
        machine->cpu_node[machine->cpus++] = (int)node;
        if (*end != ':')
            return *end == '\0';
    }
    return false;
}

/* The node of a "physical" address as QEMU tells it to plugins, or -1 for none (the firmware).
 * Holds only while no memory lies above 4 GiB. */
static inline int machine_node_of(const struct machine *machine, uint64_t physical_address) {
    uint64_t index = physical_address / machine->node_bytes;

    if (machine->offset_counted_twice) {
        if (index % 2 != 0)
            return -1;
        index /= 2;
    }
    return index < machine->nodes ? (int)index : -1;
}

/* x86-64 gives the upper half of the address space to the kernel. */
static inline bool is_kernel_address(uint64_t address) {
    return address >> 47 != 0;
}

enum {
    LINE_SHIFT = 6, /* lines of 64 bytes */
    CACHE_WAYS = 4, /* so that the three streams of STREAM's kernels never evict each other */
};

/* A CPU's cache. A set holds its lines, the last used first: their numbers plus 1 (0 is empty), and
 * the version each had when it was fetched or written. */
struct cached_line {
    uint64_t number_plus_1;
    uint32_t version;
};

struct line_cache {
    uint64_t sets; /* a power of two */
    struct cached_line (*set)[CACHE_WAYS];
};

static inline bool line_cache_make(struct line_cache *cache, uint64_t bytes) {
    uint64_t set_bytes = (uint64_t)CACHE_WAYS << LINE_SHIFT;

    for (cache->sets = 1; cache->sets * 2 * set_bytes <= bytes;)
        cache->sets *= 2;
    cache->set = calloc(cache->sets, sizeof *cache->set);
    return bytes >= set_bytes && cache->set != NULL;
}

static inline void line_cache_empty(struct line_cache *cache) {
    for (uint64_t i = 0; i < cache->sets; i++)
        for (int way = 0; way < CACHE_WAYS; way++)
            cache->set[i][way] = (struct cached_line){0};
}

enum touch {
    TOUCH_HIT,
    TOUCH_MISS,
    TOUCH_STALE, /* was cached, but is of another version now: another CPU has written it */
};

/* A line's version changes when a CPU writes it that others have read, or that another wrote last.
 * Lines share entries, when there are fewer: two lines of one entry make each other stale. */
struct line_versions {
    uint64_t entries; /* a power of two */
    _Atomic(uint32_t)
        *entry; /* number of changes, "others have read it" (1 bit), writer (7 bits) */
};

enum { VERSION_WRITER_MASK = 127, VERSION_READ = 128, VERSION_ONE = 256 };
_Static_assert((int)MACHINE_CPUS_MAX < (int)VERSION_WRITER_MASK,
               "a CPU's number plus 1 is a writer");

static inline bool line_versions_make(struct line_versions *versions, uint64_t entries) {
    versions->entries = entries;
    versions->entry = calloc(entries, sizeof *versions->entry);
    return versions->entry != NULL;
}

/* What an access finds and what it leaves: a cached line is as good as `before`'s, and is of
 * version `after` then. */
struct line_version {
    uint32_t before, after;
};

static inline struct line_version line_version_access(struct line_versions *versions,
                                                      uint64_t address, unsigned cpu, bool store) {
    _Atomic(uint32_t) *entry = &versions->entry[(address >> LINE_SHIFT) & (versions->entries - 1)];
    uint32_t old = atomic_load_explicit(entry, memory_order_relaxed), new;
    uint32_t writer = cpu + 1;

    do {
        bool mine = (old & VERSION_WRITER_MASK) == writer;

        if (!store)
            new = mine ? old : old | VERSION_READ;
        else if (mine && !(old & VERSION_READ))
            new = old;
        else
            new = ((old & ~(uint32_t)(VERSION_ONE - 1)) + VERSION_ONE) | writer;
    } while (new != old && !atomic_compare_exchange_weak_explicit(
                               entry, &old, new, memory_order_relaxed, memory_order_relaxed));
    return (struct line_version){old / VERSION_ONE, new / VERSION_ONE};
}

/* Looks for the line of `address`. It is cached afterwards, instead of its set's least recently
 * used. */
static inline enum touch line_cache_touch(struct line_cache *cache, uint64_t address,
                                          struct line_version version) {
    uint64_t number = address >> LINE_SHIFT;
    struct cached_line *set = cache->set[number & (cache->sets - 1)];
    struct cached_line wanted = {number + 1, version.after}, moved = set[0];

    for (int way = 1; moved.number_plus_1 != wanted.number_plus_1 && way < CACHE_WAYS; way++) {
        struct cached_line next = set[way];

        set[way] = moved;
        moved = next;
    }
    set[0] = wanted;
    if (moved.number_plus_1 != wanted.number_plus_1)
        return TOUCH_MISS;
    return moved.version == version.before ? TOUCH_HIT : TOUCH_STALE;
}

#endif
