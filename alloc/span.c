/* Blocks above 64 KiB and up to a segment: runs of slices in span segments. They have no owner: any
 * thread gives one straight back to its own pool, where it keeps its physical memory for a while,
 * so that the next one costs no page faults. */
#pragma once

#include "process.c"

/* What a span's block_size is rounded to: the rest of its last slice is not promised to the caller,
 * and so not touched. */
#define SPAN_GRAIN (4 * KIB)

static unsigned span_slices(size_t size_bytes) {
    return (unsigned)(align_up(size_bytes, SLICE_SIZE) / SLICE_SIZE);
}

/* A block of at least `size_bytes` (1 to na.span_size_max) at a multiple of `alignment` (at most
 * that). `thread` is the caller's, or NULL. Sets *zeroed when its memory is known to read as zero.
 * NULL: no memory. */
static void *span_allocate(struct pool *pool, struct thread *thread, size_t size_bytes,
                           size_t alignment, bool *zeroed) {
    unsigned count = span_slices(size_bytes);
    unsigned slice_alignment = alignment > SLICE_SIZE ? (unsigned)(alignment / SLICE_SIZE) : 1;
    struct run run = take_run(pool, thread, SEGMENT_SPAN, count, slice_alignment);
    if (run.segment == NULL)
        return NULL;
    void *start = run_start(run);
    struct page *page = page_of(run.segment, start);
    page->heap = NULL;
    page->block_size = (uint32_t)align_up(size_bytes, SPAN_GRAIN);
    *zeroed = run.zeroed;
    return start;
}

/* The span that starts at `block`. Aborts when none does. */
static struct page *span_of(struct segment *segment, const void *block) {
    struct page *page = page_of(segment, block);
    if (unlikely(page->block_size == 0 || page->heap != NULL ||
                 ((uintptr_t)block & (SLICE_SIZE - 1)) != 0))
        die_of_misuse("free of an invalid pointer, or double free", block);
    return page;
}

static void span_free(struct segment *segment, void *block) {
    struct page *page = span_of(segment, block);
    unsigned count = span_slices(page->block_size);
    page->block_size = 0;
    pool_return_run(segment, slice_of(segment, block), count);
}

/* Makes a span hold `new_bytes` where it stands, using or giving back the slices after it. */
static bool span_resize(struct segment *segment, void *block, size_t new_bytes) {
    struct page *page = span_of(segment, block);
    unsigned slice = slice_of(segment, block);
    struct pool *pool = segment->pool;
    unsigned old_count = span_slices(page->block_size), new_count = span_slices(new_bytes);
    bool fits = true, touch = false;
    lock_take(&pool->lock);
    if (new_count < old_count) {
        pool_return_run_locked(segment, slice + new_count, old_count - new_count);
    } else if (new_count > old_count) {
        unsigned more = new_count - old_count, tail = slice + old_count;
        fits = slices_next(segment->free_map, tail, false) >= tail + more;
        struct run run = {segment, tail, false, false};
        if (fits)
            run = segment_take(segment, SEGMENT_SPAN, tail, more);
        if (fits && unlikely(na.config.checks))
            fits = run_make_ready(run, more, false);
        touch = fits && run.untouched;
    }
    pool_unlock(pool);
    if (touch && pool_is_touched(pool) && !segment->reserved_pages)
        pool_touch(pool, (uintptr_t)block + old_count * SLICE_SIZE,
                   (new_count - old_count) * SLICE_SIZE);
    if (fits)
        page->block_size = (uint32_t)align_up(new_bytes, SPAN_GRAIN);
    return fits;
}
