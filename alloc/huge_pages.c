/* NUMA_ALLOC_PAGES: pages larger than the kernel's default.
 *
 * `thp` advises the kernel, of whole arenas and whole blocks, since each part costs a mapping. `2M`
 * and `1G` are taken from what an administrator has reserved, node by node (Linux's
 * Documentation/admin-guide/mm/hugetlbpage.rst). A fault that finds a node's reserve empty would be
 * SIGBUS, so all such memory is populated before it is handed out; where that fails, and for what
 * is left of its arena, default pages take its place. It is never purged: nobody else could use it.
 */
#pragma once

#include "placement.c"
#include "segment_table.c"

/* After a want of reserved pages, huge blocks do without for so long: looking costs as much as
 * clearing what there is. */
#define HUGE_PAGES_PAUSE_MS 100

/* What a transparent huge page replaces; purging less would split it. */
#define THP_BYTES (2 * MIB)

/* A pool got no huge pages for a range: counts it and does what NUMA_ALLOC_ON_ERROR says. */
static slow_path void report_no_huge_pages(struct pool *pool, size_t size_bytes, const char *call,
                                           int error) {
    struct message message;
    atomic_fetch_add_explicit(&pool->pages_refusals, 1, memory_order_relaxed);
    atomic_store_explicit(&pool->pages_errno, error, memory_order_relaxed);
    atomic_store_explicit(&pool->huge_pages_resume_ms, sys_coarse_ms() + HUGE_PAGES_PAUSE_MS,
                          memory_order_relaxed);
    if (!problem_begin(&message, &na.warned_pages))
        return;
    if (na.huge_page_bytes == 0) {
        text_add(&message.text, "no transparent huge pages");
    } else {
        text_add(&message.text, "no free pages of ");
        text_add_unsigned(&message.text, na.huge_page_bytes / MIB);
        text_add(&message.text, " MiB");
    }
    text_add(&message.text, " for ");
    text_add_unsigned(&message.text, size_bytes / MIB);
    text_add(&message.text, " MiB on ");
    text_add_pool_nodes(&message.text, pool);
    text_add_failed_call(&message.text, call, error);
    problem_end(&message, "default pages are used instead");
}

/* Address space of the pool's that reserved pages will fill, placed but not populated; 0 when there
 * are not enough, with *error. The pool is locked if it has stripes. */
static uintptr_t map_reserved_pages(struct pool *pool, size_t size_bytes, size_t alignment,
                                    size_t *stripe_mappings, int *error) {
    if (alignment < na.huge_page_bytes)
        alignment = na.huge_page_bytes;
    uintptr_t start = sys_map_hugetlb(size_bytes, alignment, na.huge_page_bytes, error);
    if (start == 0)
        return 0;
    if (!segment_table_covers(start, size_bytes)) {
        sys_unmap_aligned(start, size_bytes);
        *error = ENOMEM;
        return 0;
    }
    *stripe_mappings = pool_place(pool, start, size_bytes, na.huge_page_bytes);
    return start;
}

/* Fills it. Returns 0 or -errno: the range must not be used. */
static int populate_reserved_pages(struct pool *pool, uintptr_t start, size_t size_bytes) {
    int result =
        pool_is_touched(pool) ? touch_pieces(pool, start, size_bytes, na.huge_page_bytes) : 0;
    return result != 0 ? result : sys_populate(start, size_bytes);
}

/* For a range of default pages that has just been mapped, or grown to this. */
static void advise_huge_pages(struct pool *pool, uintptr_t start, size_t size_bytes) {
    if (na.config.pages != PAGES_THP)
        return;
    int result = sys_advise_huge_pages(start, size_bytes);
    if (result != 0)
        report_no_huge_pages(pool, size_bytes, "madvise", -result);
}
