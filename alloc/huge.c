/* Blocks above 32 MiB, or aligned to more: each a mapping of its own, bound by itself, that
 * has the segment size's worth of addresses in which it starts to itself, so that the table finds
 * it. Grown with mremap: pages move, bytes are not copied. */
#pragma once

#include "pool.c"

static void huge_count(struct pool *pool, int blocks, size_t old_bytes, size_t new_bytes) {
    lock_take(&pool->lock);
    pool->huge_blocks += (uint64_t)blocks;
    pool->huge_bytes += new_bytes - old_bytes;
    if (pool->huge_bytes > pool->huge_bytes_peak)
        pool->huge_bytes_peak = pool->huge_bytes;
    lock_release(&pool->lock);
}

/* Locks the pool where placing counts its stripes. */
static void huge_lock(struct pool *pool) {
    if (pool->spread == SPREAD_STRIPES)
        lock_take(&pool->lock);
}

static void huge_unlock(struct pool *pool) {
    if (pool->spread == SPREAD_STRIPES)
        lock_release(&pool->lock);
}

static size_t huge_alignment(size_t alignment) {
    return alignment > SEGMENT_SIZE ? alignment : SEGMENT_SIZE;
}

/* Maps the block in reserved huge pages, populated. False when there are not enough. */
static bool huge_map_reserved(struct segment *head, size_t size_bytes, size_t alignment) {
    struct pool *pool = head->pool;
    size_t bytes;
    int error;
    if (__builtin_add_overflow(size_bytes, na.huge_page_bytes - 1, &bytes) ||
        sys_coarse_ms() < atomic_load_explicit(&pool->huge_pages_resume_ms, memory_order_relaxed))
        return false;
    bytes &= ~(na.huge_page_bytes - 1);
    huge_lock(pool);
    head->base =
        map_reserved_pages(pool, bytes, huge_alignment(alignment), &head->stripe_mappings, &error);
    huge_unlock(pool);
    if (head->base == 0) {
        report_no_huge_pages(pool, bytes, "mmap", error);
        return false;
    }
    head->lead_bytes = 0;
    head->huge_bytes = bytes;
    head->reserved_pages = true;
    atomic_fetch_add_explicit(&pool->reserved_bytes, bytes, memory_order_relaxed);
    int result = populate_reserved_pages(pool, head->base, bytes);
    if (result == 0)
        return true;
    huge_release(head);
    report_no_huge_pages(pool, bytes, "madvise", -result);
    return false;
}

/* The kernel interleaves transparent huge pages by their address, so blocks that all began at a
 * multiple of 32 MiB would all have their odd huge page on the same node. These bytes stay unused
 * before each; they remain mapped, because the table can find only one block that starts there. */
static size_t huge_lead(struct pool *pool, size_t alignment) {
    if (!pool_interleaves(pool) || alignment > THP_BYTES || na.segment_bytes != SEGMENT_SIZE)
        return 0;
    unsigned nth = atomic_fetch_add_explicit(&pool->huge_mapped, 1, memory_order_relaxed);
    return nth % (SEGMENT_SIZE / THP_BYTES) * THP_BYTES;
}

/* Maps the block in default pages. False without address space. */
static bool huge_map_default(struct segment *head, size_t bytes, size_t alignment) {
    struct pool *pool = head->pool;
    size_t lead = huge_lead(pool, alignment);
    uintptr_t start =
        sys_map_aligned(lead + bytes, huge_alignment(alignment), PROT_READ | PROT_WRITE);
    if (start == 0 || !segment_table_covers(start, lead + bytes)) {
        sys_unmap(start, start == 0 ? 0 : lead + bytes);
        return false;
    }
    head->base = start + lead;
    head->lead_bytes = lead;
    head->huge_bytes = bytes;
    head->reserved_pages = false;
    huge_lock(pool);
    head->stripe_mappings = pool_place(pool, start, lead + bytes, 0);
    huge_unlock(pool);
    advise_huge_pages(pool, head->base, bytes);
    if (pool_is_touched(pool))
        pool_touch(pool, head->base, bytes);
    return true;
}

/* A new mapping for a block, or NULL. */
static struct segment *huge_map(struct pool *pool, size_t bytes, size_t alignment) {
    struct segment *head = huge_head_new();
    if (head == NULL)
        return NULL;
    head->pool = pool;
    head->kind = SEGMENT_HUGE;
    head->page_shift = SEGMENT_SHIFT;
    pool_look_if_full(pool, bytes);
    bool mapped = (na.huge_page_bytes != 0 && huge_map_reserved(head, bytes, alignment)) ||
                  huge_map_default(head, bytes, alignment);
    if (!mapped) {
        huge_head_spare(head);
        return NULL;
    }
    segment_register(head);
    return head;
}

/* Moves a block to where it can be `bytes` long. The new place is mapped before the old one is
 * left, so that a refusal loses nothing. */
static bool huge_move(struct segment *head, size_t bytes) {
    /* Usable, so that limits on memory are met now rather than when the target is replaced, which
     * older kernels have unmapped by then. */
    uintptr_t target = sys_map_aligned(bytes, SEGMENT_SIZE, PROT_READ | PROT_WRITE);
    if (target == 0)
        return false;
    segment_unregister(head);
    bool moved = segment_table_covers(target, bytes) &&
                 sys_remap_to(head->base, head->huge_bytes, bytes, target);
    if (moved) {
        sys_unmap(head->base - head->lead_bytes, head->lead_bytes);
        head->lead_bytes = 0;
        head->base = target;
    } else {
        sys_unmap_aligned(target, bytes);
    }
    segment_register(head);
    return moved;
}

/* Makes a mapping `bytes` long, in place or elsewhere. False: refused, and nothing has changed.
 * Only want of room in place leads to a move: any other refusal, such as for a block that the
 * program has split into several mappings by madvise, would meet the move as well. Stripes are such
 * mappings too; and reserved huge pages are populated only when they are mapped. */
static bool huge_stretch(struct segment *head, size_t bytes) {
    size_t old_bytes = head->huge_bytes;
    if (head->reserved_pages || (bytes > old_bytes && head->pool->spread == SPREAD_STRIPES))
        return false;
    int result = sys_remap_in_place(head->base, old_bytes, bytes);
    if (result != 0 && (result != -ENOMEM || !huge_move(head, bytes)))
        return false;
    head->huge_bytes = bytes;
    if (bytes > old_bytes && pool_is_touched(head->pool))
        pool_touch(head->pool, head->base + old_bytes, bytes - old_bytes);
    return true;
}

/* Whether a block may stay as long as it is: half more than asked for is soon wanted again. */
static bool huge_may_stay(const struct segment *head, size_t bytes) {
    return head->huge_bytes >= bytes && head->huge_bytes - bytes <= bytes / 2;
}

/* A kept block resized to `bytes`, or NULL; not `usable`: none will do, but they make room. Half
 * more than asked for may stay with it: unmapped, those pages would soon be faulted in again. */
static struct segment *huge_reuse(struct pool *pool, size_t bytes, bool usable) {
    struct segment *head = NULL;
    lock_take(&pool->lock);
    pool_purge_if_due(pool);
    if (usable)
        head = kept_take(pool, bytes);
    else
        kept_make_room(pool, bytes);
    pool_unlock(pool);
    if (head == NULL)
        return NULL;
    segment_register(head);
    if (huge_may_stay(head, bytes) || huge_stretch(head, bytes))
        return head;
    segment_unregister(head);
    head->next = NULL;
    huge_unmap(head);
    return NULL;
}

/* A block of at least `size_bytes` at a multiple of `alignment`, or NULL. *zeroed: on entry whether
 * it shall, on return whether it does read as zero. */
static void *huge_allocate(struct pool *pool, size_t size_bytes, size_t alignment, bool *zeroed) {
    size_t bytes = align_up(size_bytes, SLICE_SIZE);
    struct segment *head = huge_reuse(pool, bytes, !*zeroed && alignment <= THP_BYTES);
    *zeroed = head == NULL;
    if (head == NULL)
        head = huge_map(pool, bytes, alignment);
    if (head == NULL && pools_let_go_of_kept())
        head = huge_map(pool, bytes, alignment);
    if (head == NULL)
        return NULL;
    huge_count(pool, 1, 0, head->huge_bytes);
    return (void *)head->base;
}

static void huge_check(const struct segment *head, const void *block) {
    if (unlikely((uintptr_t)block != head->base))
        die_of_misuse("free or realloc of an invalid pointer", block);
}

static void huge_free(struct segment *head, void *block) {
    struct pool *pool = head->pool;
    huge_check(head, block);
    segment_unregister(head);
    huge_count(pool, -1, head->huge_bytes, 0);
    lock_take(&pool->lock);
    pool_expect_purging(pool);
    pool_purge_if_due(pool);
    kept_put(pool, head);
    pool_unlock(pool);
}

/* Makes a block hold `new_bytes`. NULL: refused, and nothing has changed. */
static void *huge_resize(struct segment *head, void *block, size_t new_bytes) {
    huge_check(head, block);
    size_t grain = head->reserved_pages ? na.huge_page_bytes : SLICE_SIZE;
    size_t old_bytes = head->huge_bytes, bytes = align_up(new_bytes, grain);
    if (bytes == old_bytes || (head->reserved_pages && huge_may_stay(head, bytes)))
        return block;
    if (!huge_stretch(head, bytes))
        return NULL;
    huge_count(head->pool, 0, old_bytes, bytes);
    return (void *)head->base;
}
