/* One node's memory: arenas mapped and bound, cut into segments, segments into runs of slices, and
 * free runs purged once they have lain idle. */
#pragma once

#include "guards.c"
#include "huge_pages.c"
#include "kept.c"
#include "slices.c"

/* 1 GiB: one mbind and at most a few mappings for 32 segments. */
#define ARENA_BYTES (1 * GIB)

/* Under a limit on address space below this an arena must not starve the program's own mappings:
 * then segments are mapped one by one and only in part; what others map in the rest is told apart
 * (segment_holds). */
#define ADDRESS_SPACE_SMALL   (16 * GIB)
#define LIMITED_SEGMENT_BYTES (4 * MIB)

/* Purging comes by this often and gives back what was free the last time as well: what is freed and
 * soon wanted again stays. */
#define PURGE_INTERVAL_MS 100

/* A pass is done in steps of this much (some 1 ms of the kernel's time), each by whoever next takes
 * the pool's lock, so that nobody waits for a whole pass. */
#define PURGE_STEP_SLICES   128
#define PURGE_STEP_SEGMENTS 256

/* --- segments ------------------------------------------------------------------------------ */

static void segment_unlist(struct segment *segment) {
    if (segment->listed_in == NULL)
        return;
    if (segment->prev != NULL)
        segment->prev->next = segment->next;
    else
        *segment->listed_in = segment->next;
    if (segment->next != NULL)
        segment->next->prev = segment->prev;
    segment->listed_in = NULL;
}

static void segment_list(struct segment *segment, struct segment **list) {
    segment->listed_in = list;
    segment->prev = NULL;
    segment->next = *list;
    if (*list != NULL)
        (*list)->prev = segment;
    *list = segment;
}

/* Puts a segment into the list where searches for what it still has will find it. */
static void segment_relist(struct segment *segment) {
    struct pool *pool = segment->pool;
    struct segment **list = NULL;
    if (segment->free_slices == segment->slices) {
        segment->kind = SEGMENT_UNUSED;
        list = &pool->unused;
    } else if (segment->free_slices != 0 && segment->kind < PAGED_KINDS) {
        list = &pool->paged[segment->kind];
    } else if (segment->free_slices != 0) {
        segment->largest_run = (uint16_t)slices_largest_run(segment->free_map);
        list = &pool->spans[floor_log2(segment->largest_run)];
    }
    if (list == segment->listed_in)
        return;
    segment_unlist(segment);
    if (list != NULL)
        segment_list(segment, list);
}

static void pool_start_arena(struct pool *pool, uintptr_t start, size_t size_bytes,
                             bool reserved_pages) {
    pool->arena_next = start;
    pool->arena_end = start + size_bytes;
    pool->arena_whole_bytes = size_bytes;
    pool->arena_reserved_pages = reserved_pages;
    pool->arenas++;
    pool->arena_bytes += size_bytes;
}

/* An arena of reserved huge pages, smaller where there are not so many: the first is of one segment
 * or page, each later one of twice as much, so that a small program does not take them all. */
static bool pool_map_reserved_arena(struct pool *pool) {
    size_t least = SEGMENT_SIZE > na.huge_page_bytes ? SEGMENT_SIZE : na.huge_page_bytes;
    size_t bytes = pool->reserved_arena_bytes < least ? least : pool->reserved_arena_bytes;
    uintptr_t start = 0;
    int error = 0;
    for (; bytes >= least && start == 0; bytes /= 2) {
        start = map_reserved_pages(pool, bytes, SEGMENT_SIZE, &pool->arena_stripe_mappings, &error);
        if (start != 0) {
            pool_start_arena(pool, start, bytes, true);
            pool->reserved_arena_bytes = bytes < ARENA_BYTES ? bytes * 2 : bytes;
        }
    }
    if (start == 0)
        report_no_huge_pages(pool, least, "mmap", error);
    return start != 0;
}

/* Takes address space for more segments: a whole arena, or less where that much is refused. Its
 * segments become usable one by one. */
static bool pool_map_arena(struct pool *pool) {
    for (size_t bytes = na.arena_bytes; bytes >= na.segment_bytes; bytes /= 2) {
        uintptr_t start = sys_map_aligned(bytes, SEGMENT_SIZE, PROT_NONE);
        if (start == 0)
            continue;
        if (!segment_table_covers(start, bytes)) {
            sys_unmap(start, bytes);
            return false;
        }
        (void)pool_place(pool, start, bytes, 0);
        advise_huge_pages(pool, start, bytes);
        pool_start_arena(pool, start, bytes, false);
        return true;
    }
    return false;
}

/* Makes the arena's next segment usable that is to be of reserved huge pages. Where one of its
 * nodes has too few, the rest of the arena is given up. */
static bool pool_fill_segment(struct pool *pool) {
    int result = populate_reserved_pages(pool, pool->arena_next, na.segment_bytes);
    if (result == 0) {
        atomic_fetch_add_explicit(&pool->reserved_bytes, na.segment_bytes, memory_order_relaxed);
        return true;
    }
    size_t rest_bytes = pool->arena_end - pool->arena_next;
    sys_unmap_aligned(pool->arena_next, rest_bytes);
    pool->arena_end = pool->arena_next;
    pool->arena_bytes -= rest_bytes;
    /* Where stripes stay in use, they keep more of the budget than they take, not less. */
    if (rest_bytes == pool->arena_whole_bytes)
        pool->stripe_mappings += pool->arena_stripe_mappings;
    report_no_huge_pages(pool, na.segment_bytes, "madvise", -result);
    return false;
}

/* Makes the first segment of what is left of the newest arena usable, or of a new one. */
static bool pool_ready_segment(struct pool *pool) {
    bool arena_is_new = pool->arena_next == pool->arena_end;
    if (arena_is_new && (na.huge_page_bytes == 0 || !pool_map_reserved_arena(pool)) &&
        !pool_map_arena(pool))
        return false;
    if (pool->arena_reserved_pages && !pool_fill_segment(pool) && !pool_map_arena(pool))
        return false;
    return pool->arena_reserved_pages || sys_make_usable(pool->arena_next, na.segment_bytes);
}

/* Cuts the next segment off the newest arena. The first is not worth a look whether the node is
 * full: it costs as much as the start of a small program may. */
static struct segment *pool_carve_segment(struct pool *pool) {
    if (pool->segments != 0)
        pool_look_if_full(pool, na.segment_bytes);
    if (!pool_ready_segment(pool))
        return NULL;
    size_t description_bytes = sizeof(struct segment) + SEGMENT_SLICES * sizeof(struct page);
    size_t more_bytes = na.config.checks ? records_bytes(na.segment_bytes / SLICE_SIZE) : 0;
    struct segment *segment = meta_allocate(description_bytes + more_bytes);
    if (segment == NULL)
        return NULL;
    if (na.config.checks)
        segment->records = (_Atomic(uint64_t) *)((uintptr_t)segment + description_bytes);
    segment->base = pool->arena_next;
    segment->pool = pool;
    segment->kind = SEGMENT_UNUSED;
    segment->page_shift = SLICE_SHIFT;
    segment->reserved_pages = pool->arena_reserved_pages;
    segment->slices = segment->free_slices = (uint16_t)(na.segment_bytes / SLICE_SIZE);
    slices_set(segment->free_map, 0, segment->slices);
    pool->arena_next += na.segment_bytes;
    pool->segments++;
    segment->next_all = atomic_load_explicit(&pool->all, memory_order_relaxed);
    atomic_store_explicit(&pool->all, segment, memory_order_release);
    segment_list(segment, &pool->unused);
    segment_register(segment);
    atomic_store_explicit(&pool->collected, false, memory_order_relaxed);
    return segment;
}

/* --- purging ------------------------------------------------------------------------------- */

/* Which slices to give back: those that are free and idle or, `at_once`, just free. Where
 * transparent huge pages were asked for, only all that such a page can hold; so too where the
 * kernel interleaves: what it refills of a huge page would be interleaved otherwise than the rest.
 */
static void segment_purge_map(const struct segment *segment, bool at_once,
                              uint64_t wanted[SLICE_WORDS]) {
    const unsigned page_slices = THP_BYTES / SLICE_SIZE;
    bool whole_pages = na.config.pages == PAGES_THP || pool_interleaves(segment->pool);
    for (unsigned word = 0; word < SLICE_WORDS; word++) {
        uint64_t touched = segment->free_map[word] & segment->touched_map[word];
        wanted[word] = at_once ? touched : touched & segment->idle_map[word];
        if (!whole_pages)
            continue;
        for (unsigned at = 0; at < 64; at += page_slices) {
            uint64_t page = slices_mask(word, word * 64 + at, page_slices);
            bool whole = (segment->free_map[word] & page) == page &&
                         (wanted[word] & page) == (touched & page) && (touched & page) != 0;
            wanted[word] = whole ? wanted[word] | page : wanted[word] & ~page;
        }
    }
}

/* Gives slices that are free and idle (or, `at_once`, just free) back to the kernel, `most` of them
 * at the most. Returns how many; fewer than `most` means that the segment is done. */
static unsigned segment_purge(struct segment *segment, bool at_once, unsigned most) {
    uint64_t wanted[SLICE_WORDS];
    unsigned purged = 0;
    if (segment->reserved_pages || (segment->purge_refused && !at_once))
        return 0;
    segment_purge_map(segment, at_once, wanted);
    for (unsigned at = slices_next(wanted, 0, true); at < SEGMENT_SLICES && purged < most;) {
        unsigned end = slices_next(wanted, at, false);
        if (end - at > most - purged)
            end = at + most - purged;
        if (sys_purge(segment->base + at * SLICE_SIZE, (end - at) * SLICE_SIZE)) {
            slices_clear(segment->touched_map, at, end - at);
            purged += end - at;
        } else {
            segment->purge_refused = true; /* locked: it stays, and stays marked as touched */
        }
        at = slices_next(wanted, end, true);
    }
    segment->pool->slices_purged += purged;
    return purged;
}

/* Marks what is free now for the next pass. Returns whether that will have anything to give back.
 */
static bool segment_mark_idle(struct segment *segment) {
    uint64_t wanted[SLICE_WORDS];
    for (unsigned word = 0; word < SLICE_WORDS; word++)
        segment->idle_map[word] = segment->free_map[word] & segment->touched_map[word];
    segment_purge_map(segment, false, wanted);
    return !segment->reserved_pages && !segment->purge_refused &&
           slices_next(wanted, 0, true) < SEGMENT_SLICES;
}

/* A pass shall come by: something was freed. Locked. */
static void pool_expect_purging(struct pool *pool) {
    if (pool->purge_due_ms == 0)
        pool->purge_due_ms = sys_coarse_ms() + PURGE_INTERVAL_MS;
}

/* Ends the work on a locked pool, with what others need not wait for. */
static void pool_unlock(struct pool *pool) {
    struct segment *outgoing = pool->outgoing;
    pool->outgoing = NULL;
    lock_release(&pool->lock);
    if (unlikely(outgoing != NULL))
        huge_unmap(outgoing);
}

/* Gives every pool's kept blocks up, for want of memory. Returns whether there was one. */
static bool pools_let_go_of_kept(void) {
    bool any = false;
    for (unsigned i = 0; i < na.pool_count; i++) {
        lock_take(&na.pools[i].lock);
        any |= na.pools[i].kept != NULL;
        kept_purge(&na.pools[i], true);
        pool_unlock(&na.pools[i]);
    }
    return any;
}

/* Gives back everything that is free. Returns the bytes. */
static size_t pool_purge_all(struct pool *pool) {
    size_t slices = 0;
    lock_take(&pool->lock);
    for (struct segment *segment = atomic_load_explicit(&pool->all, memory_order_relaxed);
         segment != NULL; segment = segment->next_all)
        slices += segment_purge(segment, true, SEGMENT_SLICES + 1);
    size_t kept_bytes = pool->kept_bytes;
    kept_purge(pool, true);
    pool_unlock(pool);
    return slices * SLICE_SIZE + kept_bytes;
}

/* One step of a pass, when a pass is due or under way. The pool is locked. */
static void pool_purge_if_due(struct pool *pool) {
    if (pool->purge_due_ms == 0 || sys_coarse_ms() < pool->purge_due_ms)
        return;
    struct segment *segment = pool->purge_next;
    if (segment == NULL)
        segment = atomic_load_explicit(&pool->all, memory_order_relaxed);
    unsigned purged = 0;
    for (unsigned seen = 0; segment != NULL && seen < PURGE_STEP_SEGMENTS; seen++) {
        purged += segment_purge(segment, false, PURGE_STEP_SLICES - purged);
        if (purged >= PURGE_STEP_SLICES)
            break;
        pool->purge_again |= segment_mark_idle(segment);
        segment = segment->next_all;
    }
    pool->purge_next = segment;
    if (segment != NULL)
        return;
    kept_purge(pool, false);
    bool again = pool->purge_again || pool->kept != NULL;
    pool->purge_due_ms = again ? sys_coarse_ms() + PURGE_INTERVAL_MS : 0;
    pool->purge_again = false;
}

/* --- runs of slices ------------------------------------------------------------------------ */

/* Segments of the closest list looked at before those that surely fit. */
#define SPAN_TIGHT_SEARCH 16

struct run {
    struct segment *segment; /* NULL: none was found */
    unsigned slice;
    bool zeroed;    /* none of it was touched */
    bool untouched; /* not all of it was */
};

static void *run_start(struct run run) {
    return (void *)(run.segment->base + run.slice * SLICE_SIZE);
}

static unsigned kind_page_shift(enum segment_kind kind) {
    return kind == SEGMENT_MEDIUM ? MEDIUM_PAGE_SHIFT : SLICE_SHIFT;
}

static unsigned kind_page_slices(enum segment_kind kind) {
    return 1U << (kind_page_shift(kind) - SLICE_SHIFT);
}

/* Hands out a run of a segment known to have it free. */
static struct run segment_take(struct segment *segment, enum segment_kind kind, unsigned slice,
                               unsigned count) {
    struct pool *pool = segment->pool;
    /* A segment in use keeps its kind, which other threads read without the lock. */
    if (segment->kind == SEGMENT_UNUSED) {
        segment->page_shift = (uint8_t)kind_page_shift(kind);
        segment->kind = (uint8_t)kind;
    }
    struct run run = {segment, slice, !slices_any(segment->touched_map, slice, count),
                      slices_next(segment->touched_map, slice, false) < slice + count};
    slices_clear(segment->free_map, slice, count);
    slices_set(segment->touched_map, slice, count);
    slices_clear(segment->idle_map, slice, count);
    segment->purge_refused = false; /* perhaps no longer */
    segment->free_slices = (uint16_t)(segment->free_slices - count);
    segment_relist(segment);
    pool->slices_used += count;
    if (pool->slices_used > pool->slices_used_peak)
        pool->slices_used_peak = pool->slices_used;
    return run;
}

/* A run in one of the segments of a list, of which `most` are looked at. */
static struct run span_list_find(struct segment *segment, unsigned count, unsigned alignment,
                                 unsigned most) {
    for (unsigned seen = 0; segment != NULL && seen < most; seen++, segment = segment->next) {
        if (segment->largest_run < count)
            continue;
        int slice = slices_find_run(segment->free_map, count, alignment);
        if (slice >= 0)
            return segment_take(segment, SEGMENT_SPAN, (unsigned)slice, count);
    }
    return (struct run){NULL, 0, false, false};
}

/* The list of runs of about `count` may be long and have few that fit, so a little of it is
 * searched first, then the lists where all fit, and the rest of it before address space is taken.
 */
static struct run pool_find_span(struct pool *pool, unsigned count, unsigned alignment) {
    unsigned tight = floor_log2(count);
    struct run run = span_list_find(pool->spans[tight], count, alignment, SPAN_TIGHT_SEARCH);
    for (unsigned list = tight + 1; run.segment == NULL && list < SPAN_LISTS; list++)
        run = span_list_find(pool->spans[list], count, alignment, UINT_MAX);
    if (run.segment == NULL && pool->unused == NULL)
        run = span_list_find(pool->spans[tight], count, alignment, UINT_MAX);
    return run;
}

/* Where the first run of a segment begins. Blocks that do not fill it leave the rest at its end,
 * and where the kernel interleaves by address that would be the same nodes' in each: so each
 * segment begins a transparent huge page later than the one before, as long as the nodes' turns go
 * round. An odd number of turns does not divide a segment's sixteen huge pages, and shifts by
 * itself. */
static unsigned fresh_start(const struct segment *segment, enum segment_kind kind, unsigned count,
                            unsigned alignment) {
    const unsigned page_slices = THP_BYTES / SLICE_SIZE;
    if (kind != SEGMENT_SPAN || !pool_interleaves(segment->pool) || na.rotation == NULL ||
        na.rotation->weight_sum % 2 != 0 || alignment > page_slices)
        return 0;
    unsigned starts = segment->slices % count / page_slices + 1; /* in what stays free anyway */
    if (starts > na.rotation->weight_sum)
        starts = na.rotation->weight_sum;
    return (unsigned)(segment->base / SEGMENT_SIZE % starts) * page_slices;
}

/* The first segment that has a run; new ones are carved only with may_carve. */
static struct run pool_find_run(struct pool *pool, enum segment_kind kind, unsigned count,
                                unsigned alignment, bool may_carve) {
    if (kind == SEGMENT_SPAN) {
        struct run run = pool_find_span(pool, count, alignment);
        if (run.segment != NULL)
            return run;
    } else if (pool->paged[kind] != NULL) {
        struct segment *segment = pool->paged[kind];
        int slice = slices_find_run(segment->free_map, count, alignment);
        na_assert(slice >= 0);
        return segment_take(segment, kind, (unsigned)slice, count);
    }
    struct segment *fresh = pool->unused;
    if (fresh == NULL && may_carve)
        fresh = pool_carve_segment(pool);
    if (fresh == NULL)
        return (struct run){NULL, 0, false, false};
    return segment_take(fresh, kind, fresh_start(fresh, kind, count, alignment), count);
}

/* Has a helper touch the run of a page and what follows it free and untouched. The pool is locked:
 * what is free must not be handed out meanwhile. */
static slow_path void pool_touch_ahead(struct run run, unsigned count) {
    struct segment *segment = run.segment;
    unsigned end = run.slice + count;
    while (end < segment->slices && end - run.slice < TOUCH_AHEAD_SLICES &&
           slices_next(segment->free_map, end, true) == end &&
           slices_next(segment->touched_map, end, false) == end)
        end++;
    slices_set(segment->touched_map, run.slice, end - run.slice);
    pool_touch(segment->pool, (uintptr_t)run_start(run), (end - run.slice) * SLICE_SIZE);
}

/* Takes a run back; its memory is purged later unless it is handed out again before. Locked. */
static void pool_return_run_locked(struct segment *segment, unsigned slice, unsigned count) {
    struct pool *pool = segment->pool;
    slices_set(segment->free_map, slice, count);
    segment->free_slices = (uint16_t)(segment->free_slices + count);
    segment_relist(segment);
    pool->slices_used -= count;
    pool_expect_purging(pool);
    pool_purge_if_due(pool);
}

/* With checks on: what was freed in the run was not written to since, and its guards are lifted;
 * but with `keeps_last` that of the last slice, which the span to begin may want. False: the kernel
 * keeps a guard, and the run is given back. Locked. */
static bool run_make_ready(struct run run, unsigned count, bool keeps_last) {
    if (slices_make_ready(run.segment, run.slice, count, keeps_last))
        return true;
    pool_return_run_locked(run.segment, run.slice, count);
    return false;
}

/* Takes a run of `count` slices at a multiple of `alignment` slices. Without may_carve, only from
 * segments there are. */
static struct run pool_take_run(struct pool *pool, enum segment_kind kind, unsigned count,
                                unsigned alignment, bool may_carve) {
    lock_take(&pool->lock);
    pool_purge_if_due(pool);
    struct run run = pool_find_run(pool, kind, count, alignment, may_carve);
    /* Who touches the run for us would meet the guard. */
    bool keeps_guard = kind == SEGMENT_SPAN && !pool_is_touched(pool);
    if (unlikely(na.config.checks) && run.segment != NULL &&
        !run_make_ready(run, count, keeps_guard))
        run = (struct run){NULL, 0, false, false};
    bool touch = run.untouched && pool_is_touched(pool) && !run.segment->reserved_pages;
    if (touch && kind < PAGED_KINDS)
        pool_touch_ahead(run, count);
    pool_unlock(pool);
    if (touch && kind == SEGMENT_SPAN)
        pool_touch(pool, (uintptr_t)run_start(run), count * SLICE_SIZE);
    return run;
}

static void pool_return_run(struct segment *segment, unsigned slice, unsigned count) {
    lock_take(&segment->pool->lock);
    pool_return_run_locked(segment, slice, count);
    pool_unlock(segment->pool);
}
