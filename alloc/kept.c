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

/* What is known of the block that a head describes, for ever its own. */
static bool huge_add_records(struct segment *head) {
    head->records = meta_allocate(2 * sizeof *head->records);
    return head->records != NULL;
}

static struct segment *huge_head_new(void) {
    lock_take(&huge.lock);
    struct segment *head = huge.spare;
    if (head != NULL)
        huge.spare = head->next;
    lock_release(&huge.lock);
    if (head != NULL)
        return head;
    head = meta_allocate(sizeof *head + sizeof head->pages[0]);
    if (head == NULL || (na.config.checks && !huge_add_records(head)))
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
    sys_unmap_aligned(head->base - head->lead_bytes, head->lead_bytes + head->huge_bytes);
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

/* Gives a block up: it is unmapped when the pool is unlocked (pool_unlock). */
static void kept_let_go(struct pool *pool, struct segment *head) {
    head->next = pool->outgoing;
    pool->outgoing = head;
}

/* Gives up the blocks kept longest until they amount to `bytes`. */
static void kept_make_room(struct pool *pool, size_t bytes) {
    for (size_t gone_bytes = 0; pool->kept != NULL && gone_bytes < bytes;) {
        gone_bytes += pool->kept->huge_bytes;
        kept_let_go(pool, kept_remove(&pool->kept));
    }
}

/* Keeps a freed block, in place of older ones where need be; none where address space is limited,
 * or where checks are on, so that its use ends the program. The pool is locked. */
static void kept_put(struct pool *pool, struct segment *head) {
    struct segment **link = &pool->kept;
    if (head->huge_bytes > KEPT_BYTES_MAX || na.segment_bytes != SEGMENT_SIZE || na.config.checks) {
        kept_let_go(pool, head);
        return;
    }
    if (pool->kept_bytes + head->huge_bytes > KEPT_BYTES_MAX)
        kept_make_room(pool, pool->kept_bytes + head->huge_bytes - KEPT_BYTES_MAX);
    while (*link != NULL)
        link = &(*link)->next;
    head->kept_idle = false;
    head->next = NULL;
    *link = head;
    pool->kept_bytes += head->huge_bytes;
}

/* Whether a kept block is better than another for `bytes`: the smallest that holds them, else the
 * largest. */
static bool kept_fits_better(size_t kept_bytes, size_t than_bytes, size_t bytes) {
    if (kept_bytes >= bytes)
        return than_bytes < bytes || kept_bytes < than_bytes;
    return than_bytes < bytes && kept_bytes > than_bytes;
}

/* Takes the block whose resizing to `bytes` saves most, or NULL when none would save half of it;
 * then as much goes out as the new block will bring. Stripes cannot grow. The pool is locked. */
static struct segment *kept_take(struct pool *pool, size_t bytes) {
    struct segment **best = NULL;
    for (struct segment **link = &pool->kept; *link != NULL; link = &(*link)->next)
        if (best == NULL || kept_fits_better((*link)->huge_bytes, (*best)->huge_bytes, bytes))
            best = link;
    if (best == NULL || (*best)->huge_bytes < bytes / 2 || (*best)->huge_bytes / 2 > bytes ||
        ((*best)->huge_bytes < bytes && pool->spread == SPREAD_STRIPES)) {
        kept_make_room(pool, bytes);
        return NULL;
    }
    return kept_remove(best);
}

/* Gives up the blocks that have been idle since the last pass (`all`: every one) and marks the
 * rest. The pool is locked. */
static void kept_purge(struct pool *pool, bool all) {
    for (struct segment **link = &pool->kept; *link != NULL;) {
        if (all || (*link)->kept_idle) {
            kept_let_go(pool, kept_remove(link));
        } else {
            (*link)->kept_idle = true;
            link = &(*link)->next;
        }
    }
}
