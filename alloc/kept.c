/* Huge blocks that were freed and are kept, mapped and with their physical memory, for a next one
 * of about that size: mapping and clearing the pages of a new one would take longer than most
 * programs use it for. Like free slices, they go back to the kernel when two purging passes have
 * found them.
 */
#pragma once

#include "placement.c"
#include "segment_table.c"

/* In one pool. What is freed beyond this goes back at once. */
#define KEPT_BYTES_MAX (128 * MIB)

static struct {
    struct lock lock;
    struct segment *spare;         /* heads without a block */
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
    head->huge_bytes = 0;
    lock_take(&huge.lock);
    head->next = huge.spare;
    huge.spare = head;
    lock_release(&huge.lock);
}

/* Gives a block back to the kernel, without its head. */
static void huge_release(struct segment *head) {
    struct pool *pool = head->pool;
    sys_unmap_aligned(head->base, head->huge_bytes);
    if (head->reserved_pages)
        atomic_fetch_sub_explicit(&pool->reserved_bytes, head->huge_bytes, memory_order_relaxed);
    if (head->stripe_mappings != 0) {
        lock_take(&pool->lock);
        pool->stripe_mappings += head->stripe_mappings;
        lock_release(&pool->lock);
    }
}

/* Gives a list of blocks back to the kernel. Not with the pool locked: that takes a while. */
static void huge_unmap(struct segment *heads) {
    while (heads != NULL) {
        struct segment *head = heads;
        heads = head->next;
        huge_release(head);
        huge_head_spare(head);
    }
}

/* Removes the block that `link` points at. */
static struct segment *kept_remove(struct segment **link) {
    struct segment *head = *link;
    *link = head->next;
    head->pool->kept_bytes -= head->huge_bytes;
    return head;
}

/* Keeps a freed block; returns those that must go for it, for huge_unmap: the ones kept longest, or
 * itself; always itself when of reserved huge pages, which others may wait for. The pool is locked.
 */
static struct segment *kept_put(struct segment *head) {
    struct pool *pool = head->pool;
    struct segment *out = NULL, **link = &pool->kept;
    head->kept_idle = false;
    head->next = NULL;
    if (head->huge_bytes > KEPT_BYTES_MAX || head->reserved_pages)
        return head;
    while (pool->kept_bytes + head->huge_bytes > KEPT_BYTES_MAX) {
        struct segment *oldest = kept_remove(&pool->kept);
        oldest->next = out;
        out = oldest;
    }
    while (*link != NULL)
        link = &(*link)->next;
    *link = head;
    pool->kept_bytes += head->huge_bytes;
    return out;
}

/* Whether a kept block is better than another for `bytes`: the smallest that holds them, else the
 * largest. */
static bool kept_fits_better(size_t kept_bytes, size_t than_bytes, size_t bytes) {
    if (kept_bytes >= bytes)
        return than_bytes < bytes || kept_bytes < than_bytes;
    return than_bytes < bytes && kept_bytes > than_bytes;
}

/* Takes the block whose resizing to `bytes` saves most, or NULL when none would save half of it.
 * Stripes cannot grow. The pool is locked. */
static struct segment *kept_take(struct pool *pool, size_t bytes) {
    struct segment **best = NULL;
    for (struct segment **link = &pool->kept; *link != NULL; link = &(*link)->next)
        if (best == NULL || kept_fits_better((*link)->huge_bytes, (*best)->huge_bytes, bytes))
            best = link;
    if (best == NULL || (*best)->huge_bytes < bytes / 2 || (*best)->huge_bytes / 2 > bytes ||
        ((*best)->huge_bytes < bytes && pool->spread == SPREAD_STRIPES))
        return NULL;
    return kept_remove(best);
}

/* Takes the blocks that have been idle since the last pass (`all`: every one) and marks the rest.
 * Returns them for huge_unmap. The pool is locked. */
static struct segment *kept_take_idle(struct pool *pool, bool all) {
    struct segment *out = NULL;
    for (struct segment **link = &pool->kept; *link != NULL;) {
        if (!all && !(*link)->kept_idle) {
            (*link)->kept_idle = true;
            link = &(*link)->next;
            continue;
        }
        struct segment *head = kept_remove(link);
        head->next = out;
        out = head;
    }
    return out;
}
