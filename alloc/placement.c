/* Which node memory comes from: nodes that take turns, and the only place that asks the kernel. The
 * node of memory is decided here, when its address space is taken, and never again. */
#pragma once

#include "meta.c"
#include "types.h"

/* --- turns --------------------------------------------------------------------------------- */

static size_t rotation_bytes(unsigned count) {
    return sizeof(struct rotation) + count * sizeof(struct turn);
}

/* A rotation of its own over the same nodes, or NULL without memory. `offset` decides who is first,
 * so that threads that do the same thing do not all start on the same node. */
static struct rotation *rotation_copy(const struct rotation *original, unsigned offset) {
    size_t bytes = rotation_bytes(original->count);
    struct rotation *copy = meta_allocate(bytes);
    if (copy == NULL)
        return NULL;
    memcpy(copy, original, bytes);
    for (unsigned i = 0; i < copy->count; i++)
        copy->turns[i].credit = i == offset % copy->count;
    return copy;
}

/* Whose turn it is to give `slices`. */
static struct pool *rotation_take(struct rotation *rotation, size_t slices) {
    struct turn *best = &rotation->turns[0];
    for (unsigned i = 0; i < rotation->count; i++) {
        struct turn *turn = &rotation->turns[i];
        turn->credit += (int64_t)(turn->weight * slices);
        if (turn->credit > best->credit)
            best = turn;
    }
    best->credit -= (int64_t)(rotation->weight_sum * slices);
    return best->pool;
}

/* Whose turn the next block without a page is, where those take turns. */
static struct {
    struct lock lock;
    struct rotation *rotation;
} span_turns;

static struct pool *span_turns_take(size_t size_bytes) {
    lock_take(&span_turns.lock);
    struct pool *pool =
        rotation_take(span_turns.rotation, align_up(size_bytes, SLICE_SIZE) / SLICE_SIZE);
    lock_release(&span_turns.lock);
    return pool;
}

/* --- asking the kernel --------------------------------------------------------------------- */

static int place_on_node(const struct pool *pool, int node, uintptr_t start, size_t size_bytes) {
    struct node_set nodes;
    memset(&nodes, 0, sizeof nodes);
    node_set_add(&nodes, (unsigned)node);
    return sys_mbind(start, size_bytes, pool->mode, nodes.words, NODE_IDS_MAX);
}

/* Stripes alternate policies, so each run of them is a mapping of the process, of which there may
 * be vm.max_map_count. Half of what is left of the budget at most goes into one range: stripes of
 * later ranges become longer instead of running out. */
#define STRIPE_BYTES_MIN (2 * MIB)

static size_t stripe_bytes(size_t size_bytes, size_t mappings_left) {
    size_t stripe = STRIPE_BYTES_MIN;
    while (stripe < size_bytes && size_bytes / stripe > mappings_left / 2)
        stripe *= 2;
    return stripe;
}

/* Binds stripe after stripe to the node whose turn it is, a run of one node's in one call. Returns
 * the mappings that took; the pool is locked. */
static size_t place_stripes(struct pool *pool, uintptr_t start, size_t size_bytes) {
    size_t stripe = stripe_bytes(size_bytes, pool->stripe_mappings);
    uintptr_t end = start + size_bytes, run = start;
    size_t mappings = 0;
    int run_node = -1, result = 0;
    for (uintptr_t at = start; at < end; at += stripe) {
        size_t length = end - at < stripe ? end - at : stripe;
        int node = rotation_take(pool->stripes, length / SLICE_SIZE)->node;
        if (node == run_node)
            continue;
        if (run_node >= 0 && result == 0)
            result = place_on_node(pool, run_node, run, at - run);
        mappings++;
        run = at;
        run_node = node;
    }
    if (result == 0)
        result = place_on_node(pool, run_node, run, end - run);
    if (result != 0)
        report_refused_policy(pool, -result);
    if (mappings > pool->stripe_mappings)
        mappings = pool->stripe_mappings;
    pool->stripe_mappings -= mappings;
    return mappings;
}

/* Tells the kernel where pages of the range shall come from. The pool is locked if it has stripes.
 * Returns how many mappings of the stripes' budget that took. */
static size_t pool_place(struct pool *pool, uintptr_t start, size_t size_bytes) {
    int result;
    if (pool->spread == SPREAD_NONE || pool->placing != PLACING_ASKED)
        return 0;
    if (pool->spread == SPREAD_STRIPES)
        return place_stripes(pool, start, size_bytes);
    if (pool->spread == SPREAD_ONE)
        result = place_on_node(pool, pool->node, start, size_bytes);
    else
        result = sys_mbind(start, size_bytes, pool->mode, na.config.nodes.words, NODE_IDS_MAX);
    if (result != 0)
        report_refused_policy(pool, -result);
    return 0;
}
