/* Which node memory comes from, and the only place that asks the kernel for it. The node of memory
 * is decided here, when its address space is taken, and never again. */
#pragma once

#include "first_touch.c"

/* Stripes alternate policies, so each run of them is a mapping of the process, of which there may
 * be vm.max_map_count. Half of what is left of the budget at most goes into one range: stripes of
 * later ranges become longer instead of running out. */
#define STRIPE_BYTES_MIN (2 * MIB)

/* How long the stripes of a range are: a power of two, at least `stripe_min`. */
static size_t stripe_bytes(size_t size_bytes, size_t stripe_min, size_t mappings_left) {
    size_t stripe = stripe_min;
    while (stripe < size_bytes && size_bytes / stripe > mappings_left / 2)
        stripe *= 2;
    return stripe;
}

/* The kernel refused: where it will for good, memory is touched first from now on, or left alone.
 */
static slow_path void placing_refused(struct pool *pool, int error) {
    if (error == EPERM || error == ENOSYS)
        atomic_store_explicit(&pool->placing,
                              pool_has_helper(pool) ? PLACING_TOUCHED : PLACING_PLAIN,
                              memory_order_release);
    report_refused_policy(pool, error);
}

static int place_on_node(const struct pool *pool, int node, uintptr_t start, size_t size_bytes) {
    struct node_set nodes;
    memset(&nodes, 0, sizeof nodes);
    node_set_add(&nodes, (unsigned)node);
    return sys_mbind(start, size_bytes, pool->mode, nodes.words, NODE_IDS_MAX);
}

/* Binds stripe after stripe to the node whose turn it is, a run of one node's in one call. Returns
 * the mappings that took; the pool is locked. */
static size_t place_stripes(struct pool *pool, uintptr_t start, size_t size_bytes,
                            size_t stripe_min) {
    size_t stripe = stripe_bytes(size_bytes, stripe_min, pool->stripe_mappings);
    uintptr_t end = start + size_bytes, run = start;
    size_t mappings = 0;
    int run_node = -1, result = 0;
    for (uintptr_t at = start; at < end && result == 0; at += stripe) {
        size_t length = end - at < stripe ? end - at : stripe;
        int node = rotation_take(pool->rotation, length / SLICE_SIZE)->node;
        if (node == run_node)
            continue;
        if (run_node >= 0)
            result = place_on_node(pool, run_node, run, at - run);
        mappings++;
        run = at;
        run_node = node;
    }
    if (result == 0)
        result = place_on_node(pool, run_node, run, end - run);
    if (result != 0)
        placing_refused(pool, -result);
    if (mappings > pool->stripe_mappings)
        mappings = pool->stripe_mappings;
    pool->stripe_mappings -= mappings;
    return mappings;
}

/* Tells the kernel where pages of the range shall come from; they are of `page_min` bytes at least
 * (a power of two). The pool is locked if it has stripes. Returns how many mappings of the stripes'
 * budget that took. */
static size_t pool_place(struct pool *pool, uintptr_t start, size_t size_bytes, size_t page_min) {
    int result;
    if (pool->spread == SPREAD_NONE ||
        atomic_load_explicit(&pool->placing, memory_order_relaxed) != PLACING_ASKED)
        return 0;
    if (pool->spread == SPREAD_STRIPES)
        return place_stripes(pool, start, size_bytes,
                             page_min > STRIPE_BYTES_MIN ? page_min : STRIPE_BYTES_MIN);
    if (pool->spread == SPREAD_ONE)
        result = place_on_node(pool, pool->node, start, size_bytes);
    else
        result = sys_mbind(start, size_bytes, pool->mode, na.config.nodes.words, NODE_IDS_MAX);
    if (result != 0)
        placing_refused(pool, -result);
    return 0;
}
