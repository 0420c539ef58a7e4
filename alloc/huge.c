/* Blocks above 32 MiB, or aligned to more: each a mapping of its own, bound by itself, at a
 * multiple of the segment size so that the table finds it. Grown with mremap: pages move, bytes are
 * not copied. */
#pragma once

#include "pool.c"

static struct {
    struct lock lock;
    struct segment *spare;         /* heads of freed blocks */
    _Atomic(struct segment *) all; /* heads ever made, for the statistics */
} huge;

static struct segment *huge_head_new(void) {
    lock_take(&huge.lock);
    struct segment *head = huge.spare;
    if (head != NULL)
        huge.spare = head->next;
    lock_release(&huge.lock);
    if (head != NULL)
        return head;
    head = meta_allocate(sizeof *head + sizeof head->pages[0]);
    if (head == NULL)
        return NULL;
    head->next_all = atomic_load_explicit(&huge.all, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&huge.all, &head->next_all, head,
                                                  memory_order_release, memory_order_relaxed))
        continue;
    return head;
}

static void huge_head_spare(struct segment *head) {
    lock_take(&huge.lock);
    head->next = huge.spare;
    huge.spare = head;
    lock_release(&huge.lock);
}

static void huge_count(struct pool *pool, int blocks, size_t old_bytes, size_t new_bytes) {
    lock_take(&pool->lock);
    pool->huge_blocks += (uint64_t)blocks;
    pool->huge_bytes += new_bytes - old_bytes;
    if (pool->huge_bytes > pool->huge_bytes_peak)
        pool->huge_bytes_peak = pool->huge_bytes;
    lock_release(&pool->lock);
}

static void huge_place(struct segment *head) {
    struct pool *pool = head->pool;
    if (pool->spread == SPREAD_STRIPES)
        lock_take(&pool->lock);
    head->stripe_mappings = pool_place(pool, head->base, head->huge_bytes, SLICE_SIZE);
    if (pool->spread == SPREAD_STRIPES)
        lock_release(&pool->lock);
    if (pool_is_touched(pool))
        pool_touch(pool, head->base, head->huge_bytes, false);
}

/* A zeroed block of at least `size_bytes` at a multiple of `alignment`, or NULL. */
static void *huge_allocate(struct pool *pool, size_t size_bytes, size_t alignment) {
    size_t bytes = align_up(size_bytes, SLICE_SIZE);
    struct segment *head = huge_head_new();
    if (head == NULL)
        return NULL;
    uintptr_t start = sys_map_aligned(bytes, alignment > SEGMENT_SIZE ? alignment : SEGMENT_SIZE,
                                      PROT_READ | PROT_WRITE);
    if (start == 0 || !segment_table_covers(start, bytes)) {
        sys_unmap(start, start == 0 ? 0 : bytes);
        huge_head_spare(head);
        return NULL;
    }
    head->base = start;
    head->pool = pool;
    head->kind = SEGMENT_HUGE;
    head->page_shift = SEGMENT_SHIFT;
    head->huge_bytes = bytes;
    huge_place(head);
    huge_count(pool, 1, 0, bytes);
    segment_register(head);
    return (void *)start;
}

static void huge_check(const struct segment *head, const void *block) {
    if (unlikely((uintptr_t)block != head->base))
        die_of_misuse("invalid pointer:", block);
}

static void huge_free(struct segment *head, void *block) {
    huge_check(head, block);
    segment_unregister(head);
    sys_unmap_aligned(head->base, head->huge_bytes);
    huge_count(head->pool, -1, head->huge_bytes, 0);
    if (head->stripe_mappings != 0) {
        lock_take(&head->pool->lock);
        head->pool->stripe_mappings += head->stripe_mappings;
        lock_release(&head->pool->lock);
    }
    huge_head_spare(head);
}

/* Moves a block to where it can be `bytes` long. The new place is mapped before the old one is
 * left, so that a refusal loses nothing. */
static bool huge_move(struct segment *head, size_t bytes) {
    uintptr_t target = sys_map_aligned(bytes, SEGMENT_SIZE, PROT_NONE);
    if (target == 0)
        return false;
    segment_unregister(head);
    bool moved = segment_table_covers(target, bytes) &&
                 sys_remap_to(head->base, head->huge_bytes, bytes, target);
    if (moved)
        head->base = target;
    else
        sys_unmap_aligned(target, bytes);
    segment_register(head);
    return moved;
}

/* Makes a block hold `new_bytes`, in place or elsewhere. NULL: refused, and nothing has changed.
 * Only want of room in place leads to a move: any other refusal, such as for a block that the
 * program has split into several mappings by madvise, would meet the move as well. Stripes are such
 * mappings too. */
static void *huge_resize(struct segment *head, void *block, size_t new_bytes) {
    huge_check(head, block);
    size_t old_bytes = head->huge_bytes, bytes = align_up(new_bytes, SLICE_SIZE);
    if (bytes == old_bytes)
        return block;
    if (bytes > old_bytes && head->pool->spread == SPREAD_STRIPES)
        return NULL;
    int result = sys_remap_in_place(head->base, old_bytes, bytes);
    if (result != 0 && (result != -ENOMEM || !huge_move(head, bytes)))
        return NULL;
    head->huge_bytes = bytes;
    if (bytes > old_bytes && pool_is_touched(head->pool))
        pool_touch(head->pool, head->base + old_bytes, bytes - old_bytes, false);
    huge_count(head->pool, 0, old_bytes, bytes);
    return (void *)head->base;
}
