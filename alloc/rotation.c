/* Pools that take turns, for pages, blocks and stripes under interleave and weighted. */
#pragma once

#include "meta.c"
#include "types.h"

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
