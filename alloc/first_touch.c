/* Placing memory where the kernel refuses mbind, as the filters of containers do: the kernel puts a
 * page on the node of the CPU that first touches it, so a helper that runs on the node's CPUs does
 * (sys_populate_on). It costs some 30 us a time, and what is touched is taken at once, whether the
 * program will use it or not; hence in pieces, and never the last of the memory. */
#pragma once

#include "memory_left.c"
#include "rotation.c"

/* With a page of small blocks, what follows it is touched as well, so that the cost is spread. */
#define TOUCH_AHEAD_SLICES (1 * MIB / SLICE_SIZE)

/* In one call of a helper's: some 10 ms, for which its thread's signals wait. */
#define TOUCH_PIECE_BYTES (16 * MIB)

/* Where a pool has several nodes, each piece of this much is on one of them. */
#define TOUCH_TURN_BYTES (2 * MIB)

/* How much is touched before it is looked again how much there is, and for how long no more is once
 * there is too little. */
#define TOUCH_ALLOWANCE_BYTES (64 * MIB)
#define TOUCH_PAUSE_MS        100

/* --- helpers ------------------------------------------------------------------------------- */

/* Whether a helper can touch memory on that one node: not where it has no CPU, or none that the
 * process may use. Keeps the node's CPUs for when it shall. */
static bool node_has_helper(struct pool *pool) {
    if (atomic_load_explicit(&pool->helper_cpus, memory_order_acquire) != NULL)
        return true;
    unsigned long *cpus = meta_allocate(CPU_IDS_MAX / 8);
    if (cpus == NULL ||
        !topology_read_node_cpus(&na.topology, (unsigned)pool->node, cpus, CPU_IDS_MAX) ||
        sys_populate_on(cpus, CPU_IDS_MAX / 8, 0, 0) != 0)
        return false;
    atomic_store_explicit(&pool->helper_cpus, cpus, memory_order_release);
    return true;
}

/* The same for any node of a pool's. */
static bool pool_has_helper(struct pool *pool) {
    bool any = false;
    if (pool->node >= 0)
        return node_has_helper(pool);
    for (unsigned i = 0; pool->rotation != NULL && i < pool->rotation->count; i++)
        any |= node_has_helper(pool->rotation->turns[i].pool);
    return any;
}

/* What is done where the kernel refuses to place memory: on which of the policy's nodes helpers
 * touch it. */
static void text_add_helpers(struct text *text) {
    struct node_set helped;
    unsigned nodes = 0;
    memset(&helped, 0, sizeof helped);
    for (unsigned i = 0; i < na.node_count; i++) {
        unsigned node = (unsigned)na.pools[i].node;
        if (policy_has_nodes(na.config.policy) && !node_set_has(&na.config.nodes, node))
            continue;
        nodes++;
        if (node_has_helper(&na.pools[i]))
            node_set_add(&helped, node);
    }
    if (node_set_count(&helped) == nodes) {
        text_add(text, "a helper that runs there touches it first instead");
        return;
    }
    if (!node_set_empty(&helped)) {
        text_add(text, "a helper touches it first on ");
        text_add_nodes(text, &helped);
        text_add(text, ", elsewhere ");
    }
    text_add(text, "it is placed where it is first touched");
}

static bool pool_is_touched(const struct pool *pool) {
    return unlikely(atomic_load_explicit(&pool->placing, memory_order_acquire) == PLACING_TOUCHED);
}

/* --- touching ------------------------------------------------------------------------------ */

/* Whether that much may be touched now. */
static bool touch_is_allowed(struct pool *pool, size_t size_bytes) {
    uint64_t allowance = atomic_load_explicit(&pool->touch_allowance_bytes, memory_order_relaxed);
    if (allowance >= size_bytes) {
        /* Two threads may both take the same: it is little beside what is kept. */
        atomic_store_explicit(&pool->touch_allowance_bytes, allowance - size_bytes,
                              memory_order_relaxed);
        return true;
    }
    uint64_t now_ms = sys_coarse_ms();
    if (now_ms < atomic_load_explicit(&pool->touch_resume_ms, memory_order_relaxed))
        return false;
    uint64_t left_bytes = memory_left_bytes(PROC_ROOT, GROUPS_ROOT);
    if (size_bytes > left_bytes) {
        if (size_bytes <= TOUCH_ALLOWANCE_BYTES)
            atomic_store_explicit(&pool->touch_resume_ms, now_ms + TOUCH_PAUSE_MS,
                                  memory_order_relaxed);
        return false;
    }
    left_bytes = (left_bytes - size_bytes) / 8;
    allowance = left_bytes < TOUCH_ALLOWANCE_BYTES ? left_bytes : TOUCH_ALLOWANCE_BYTES;
    atomic_store_explicit(&pool->touch_allowance_bytes, allowance, memory_order_relaxed);
    return true;
}

/* On whose node a pool's memory at an address shall be. With several nodes that is decided by the
 * address alone, each 2 MiB whole: a first touch may bring a transparent huge page. */
static struct pool *pool_toucher(struct pool *pool, uintptr_t at, size_t piece_bytes) {
    if (pool->node >= 0)
        return pool;
    const struct turn *turn = pool->rotation->turns;
    for (size_t place = at / piece_bytes % pool->rotation->weight_sum; place >= turn->weight;
         turn++)
        place -= turn->weight;
    return turn->pool;
}

static slow_path void count_untouched(struct pool *pool, int error) {
    atomic_fetch_add_explicit(&pool->touch_failures, 1, memory_order_relaxed);
    atomic_store_explicit(&pool->touch_errno, error, memory_order_relaxed);
}

/* Has memory of a PLACING_TOUCHED pool touched on its nodes, piece by piece; they take turns for
 * `turn_bytes` each, a power of two, and a node without a helper passes. Returns 0 or -errno; then
 * the rest is not placed. */
static int touch_pieces(struct pool *pool, uintptr_t start, size_t size_bytes, size_t turn_bytes) {
    size_t piece_bytes = pool->node >= 0 ? TOUCH_PIECE_BYTES : turn_bytes;
    uintptr_t end = start + size_bytes, next;
    for (uintptr_t at = start; at < end; at = next) {
        next = align_up(at + 1, piece_bytes);
        if (next > end)
            next = end;
        const unsigned long *cpus = atomic_load_explicit(
            &pool_toucher(pool, at, piece_bytes)->helper_cpus, memory_order_acquire);
        if (cpus == NULL) {
            count_untouched(pool, ENXIO);
            continue;
        }
        int result = sys_populate_on(cpus, CPU_IDS_MAX / 8, at, next - at);
        if (result != 0)
            return result;
        atomic_fetch_add_explicit(&pool->touched_bytes, next - at, memory_order_relaxed);
    }
    return 0;
}

/* The same for memory that is anywhere else when it cannot be there. Want of memory or of processes
 * may pass; after any other failure no helper is tried again. */
static slow_path void pool_touch(struct pool *pool, uintptr_t start, size_t size_bytes) {
    int result = touch_is_allowed(pool, size_bytes)
                     ? touch_pieces(pool, start, size_bytes, TOUCH_TURN_BYTES)
                     : -ENOMEM;
    if (result == 0)
        return;
    count_untouched(pool, -result);
    if (result != -ENOMEM && result != -EAGAIN)
        atomic_store_explicit(&pool->placing, PLACING_PLAIN, memory_order_relaxed);
}
