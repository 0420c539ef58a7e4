/* What the allocator can tell about itself, gathered by walking what there is, so that the fast
 * paths count nothing. Takes no lock and never allocates: the numbers may be a moment apart, but a
 * signal handler may ask for them. */
#pragma once

#include "checks.c"
#include "residency.c"

struct class_stats {
    uint64_t pages;
    uint64_t live_blocks; /* blocks freed by other threads and not yet collected count as live */
};

struct heap_stats {
    struct class_stats classes[SIZE_CLASSES];
    uint64_t span_blocks, span_bytes;
    uint64_t huge_blocks, huge_bytes;
    uint64_t page_live_blocks, page_live_bytes; /* of size classes */
    uint64_t committed_bytes; /* slices handed out to pages and spans, and huge blocks */
    uint64_t threads, remote_frees, node_switches;
};

reads_unlocked static uint64_t page_live_blocks(const struct page *page) {
    switch (page->state) {
    case PAGE_PARKED:
        return page->capacity;
    case PAGE_KEPT:
        return page->used - 1U;
    default:
        return page->used;
    }
}

reads_unlocked static void stats_add_segment(struct heap_stats *stats,
                                             const struct segment *segment) {
    /* Read once: another thread may be giving an unused segment its kind. */
    enum segment_kind kind = *(const volatile uint8_t *)&segment->kind;
    if (kind == SEGMENT_UNUSED)
        return;
    unsigned pages = SEGMENT_SLICES / kind_page_slices(kind);
    for (unsigned i = 0; i < pages; i++) {
        const struct page *page = &segment->pages[i];
        if (page->block_size == 0)
            continue;
        if (kind == SEGMENT_SPAN) {
            stats->span_blocks++;
            stats->span_bytes += page->block_size;
        } else if (page->heap != NULL) {
            struct class_stats *of_class = &stats->classes[page->size_class];
            uint64_t live_blocks = page_live_blocks(page);
            of_class->pages++;
            of_class->live_blocks += live_blocks;
            stats->page_live_blocks += live_blocks;
            stats->page_live_bytes += live_blocks * page->block_size;
        }
    }
}

reads_unlocked static void stats_gather(struct heap_stats *stats) {
    memset(stats, 0, sizeof *stats);
    for (unsigned i = 0; i < na.pool_count; i++) {
        const struct pool *pool = &na.pools[i];
        stats->huge_blocks += pool->huge_blocks;
        stats->huge_bytes += pool->huge_bytes;
        stats->committed_bytes += pool->slices_used * SLICE_SIZE + pool->huge_bytes;
        for (struct segment *segment = atomic_load_explicit(&pool->all, memory_order_acquire);
             segment != NULL; segment = segment->next_all)
            stats_add_segment(stats, segment);
    }
    for (struct thread *thread = atomic_load_explicit(&threads.all, memory_order_acquire);
         thread != NULL; thread = thread->next_all) {
        stats->threads++;
        stats->remote_frees += atomic_load_explicit(&thread->remote_frees, memory_order_relaxed);
        stats->node_switches += thread->node_switches;
    }
}

static uint64_t stats_live_bytes(const struct heap_stats *stats) {
    return stats->page_live_bytes + stats->span_bytes + stats->huge_bytes;
}

/* --- where a pool's memory is -------------------------------------------------------------- */

/* The most pages the kernel is asked about, of all pools together: 1 GiB of 4 KiB pages, which take
 * some 50 ms. Of more memory than that a sample is taken. */
#define PLACEMENT_PAGES_MAX ((uint64_t)262144)

/* The slices of a segment that may hold memory; reserved huge pages all do. */
reads_unlocked static void slices_with_memory(const struct segment *segment,
                                              uint64_t map[SLICE_WORDS]) {
    memset(map, 0, SLICE_WORDS * sizeof *map);
    if (segment->reserved_pages)
        slices_set(map, 0, segment->slices);
    else
        for (unsigned word = 0; word < SLICE_WORDS; word++)
            map[word] = segment->touched_map[word];
}

/* One slice in so many is looked at: an odd number, so that the sample does not fall into step with
 * stripes and pages that take turns. */
reads_unlocked static uint64_t placement_stride(size_t page_bytes) {
    uint64_t bytes = 0, map[SLICE_WORDS];
    for (unsigned i = 0; i < na.pool_count; i++) {
        bytes += na.pools[i].huge_bytes + na.pools[i].kept_bytes;
        for (struct segment *segment = atomic_load_explicit(&na.pools[i].all, memory_order_acquire);
             segment != NULL; segment = segment->next_all) {
            slices_with_memory(segment, map);
            for (unsigned word = 0; word < SLICE_WORDS; word++)
                bytes += (uint64_t)__builtin_popcountl(map[word]) * SLICE_SIZE;
        }
    }
    uint64_t pages = bytes / page_bytes;
    return pages <= PLACEMENT_PAGES_MAX ? 1 : (pages / PLACEMENT_PAGES_MAX + 1) | 1;
}

/* Asks about one slice in `stride` of those that may hold memory, and of huge blocks, the kept ones
 * too. */
reads_unlocked static void placement_look(struct residency *residency, const struct pool *pool,
                                          uint64_t stride, size_t page_bytes) {
    uint64_t seen = 0, map[SLICE_WORDS];
    for (struct segment *segment = atomic_load_explicit(&pool->all, memory_order_acquire);
         segment != NULL; segment = segment->next_all) {
        slices_with_memory(segment, map);
        for (unsigned slice = slices_next(map, 0, true); slice < SEGMENT_SLICES;
             slice = slices_next(map, slice + 1, true))
            if (seen++ % stride == 0)
                residency_add(residency, segment->base + slice * SLICE_SIZE, SLICE_SIZE,
                              page_bytes);
    }
    for (struct segment *head = atomic_load_explicit(&huge.all, memory_order_acquire); head != NULL;
         head = head->next_all) {
        uintptr_t start = head->base;
        size_t size_bytes = head->huge_bytes; /* 0: spare */
        if (head->pool != pool)
            continue;
        for (size_t offset = 0; offset < size_bytes; offset += SLICE_SIZE)
            if (seen++ % stride == 0)
                residency_add(residency, start + offset, SLICE_SIZE, page_bytes);
    }
    residency_flush(residency);
}

/* The nodes a pool's memory may be on; all for policy none. */
static bool pool_wants_node(const struct pool *pool, unsigned node) {
    if (pool->spread == SPREAD_NONE)
        return true;
    return pool->spread == SPREAD_ONE ? pool->node == (int)node
                                      : node_set_has(&na.config.nodes, node);
}
