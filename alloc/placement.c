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
    struct message message;
    bool for_good = error == EPERM || error == ENOSYS;
    if (for_good)
        atomic_store_explicit(&pool->placing,
                              pool_has_helper(pool) ? PLACING_TOUCHED : PLACING_PLAIN,
                              memory_order_release);
    atomic_fetch_add_explicit(&pool->policy_refusals, 1, memory_order_relaxed);
    atomic_store_explicit(&pool->policy_errno, error, memory_order_relaxed);
    if (!problem_begin(&message, &na.warned))
        return;
    text_add(&message.text, "the kernel refused to place memory on ");
    text_add_pool_nodes(&message.text, pool);
    text_add_failed_call(&message.text, "mbind", error);
    char instead_chars[256];
    struct text instead = {instead_chars, 0, sizeof instead_chars - 1};
    if (for_good)
        text_add_helpers(&instead);
    else
        text_add(&instead, "it is placed where it is first touched");
    instead_chars[instead.length] = '\0';
    problem_end(&message, instead_chars);
}

/* Reserved huge pages (`page_bytes` not 0) are bound, whatever the pool's mode: they are populated
 * at once, and a node without any of its own shall be seen then. */
static int place_on_node(const struct pool *pool, int node, uintptr_t start, size_t size_bytes,
                         size_t page_bytes) {
    struct node_set nodes;
    memset(&nodes, 0, sizeof nodes);
    node_set_add(&nodes, (unsigned)node);
    return sys_mbind(start, size_bytes, page_bytes != 0 ? MPOL_BIND : pool->mode, nodes.words,
                     NODE_IDS_MAX);
}

/* Binds stripe after stripe to the node whose turn it is, a run of one node's in one call. Returns
 * the mappings that took; the pool is locked. */
static size_t place_stripes(struct pool *pool, uintptr_t start, size_t size_bytes,
                            size_t page_bytes) {
    size_t stripe_min = page_bytes > STRIPE_BYTES_MIN ? page_bytes : STRIPE_BYTES_MIN;
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
            result = place_on_node(pool, run_node, run, at - run, page_bytes);
        mappings++;
        run = at;
        run_node = node;
    }
    if (result == 0)
        result = place_on_node(pool, run_node, run, end - run, page_bytes);
    if (result != 0)
        placing_refused(pool, -result);
    if (mappings > pool->stripe_mappings)
        mappings = pool->stripe_mappings;
    pool->stripe_mappings -= mappings;
    return mappings;
}

/* How often it is looked whether a node is full. */
#define FULL_LOOK_MS 100

/* Counts a demand for more than the node has free where the kernel may not look elsewhere: it has
 * to reclaim, and at last to kill. */
static void pool_look_if_full(struct pool *pool, size_t size_bytes) {
    uint64_t free_bytes;
    if (pool->spread != SPREAD_ONE || pool->mode != MPOL_BIND)
        return;
    uint64_t now_ms = sys_coarse_ms();
    if (now_ms < atomic_load_explicit(&pool->full_look_ms, memory_order_relaxed))
        return;
    atomic_store_explicit(&pool->full_look_ms, now_ms + FULL_LOOK_MS, memory_order_relaxed);
    if (topology_read_node_free(&na.topology, (unsigned)pool->node, &free_bytes) &&
        free_bytes < size_bytes)
        atomic_fetch_add_explicit(&pool->full_demands, 1, memory_order_relaxed);
}

/* Whether the kernel chooses the node of each page by its address. */
static bool pool_interleaves(const struct pool *pool) {
    return pool->spread == SPREAD_KERNEL && pool->mode != MPOL_PREFERRED_MANY;
}

/* Tells the kernel where pages of the range shall come from; of `page_bytes` each where they
 * are reserved huge pages, else 0. The pool is locked if it has stripes. Returns how many mappings
 * of the stripes' budget that took. */
static size_t pool_place(struct pool *pool, uintptr_t start, size_t size_bytes, size_t page_bytes) {
    int result;
    if (pool->spread == SPREAD_NONE ||
        atomic_load_explicit(&pool->placing, memory_order_relaxed) != PLACING_ASKED)
        return 0;
    if (pool->spread == SPREAD_STRIPES)
        return place_stripes(pool, start, size_bytes, page_bytes);
    if (pool->spread == SPREAD_ONE)
        result = place_on_node(pool, pool->node, start, size_bytes, page_bytes);
    else
        result = sys_mbind(start, size_bytes, pool->mode, na.config.nodes.words, NODE_IDS_MAX);
    if (result != 0)
        placing_refused(pool, -result);
    return 0;
}
