/* The library's own functions, as numa_alloc.h describes them; what else begins with na_ is static.
 */
#pragma once

#include "entry.c"
#include "numa_alloc.h"

_Static_assert(NA_PLACING_ASKED == (int)PLACING_ASKED && NA_PLACING_PLAIN == (int)PLACING_PLAIN,
               "the header's names are ours");

/* --- memory on a node ---------------------------------------------------------------------- */

/* The index of a node's pool, or -1 with errno. */
static int pool_index_of(int node) {
    runtime_set_up();
    if (node >= 0 && node < NODE_IDS_MAX) {
        unsigned index = na.pool_of_node[node]; /* of a node without memory: the nearest that has */
        if (index < na.node_count && na.pools[index].node == node)
            return (int)index;
    }
    errno = EINVAL;
    return -1;
}

exported void *na_malloc_on(int node, size_t size) {
    int index = pool_index_of(node);
    return index < 0 ? NULL : na_aligned_on((unsigned)index, 1, size, CALLER);
}

exported void *na_aligned_alloc_on(int node, size_t alignment, size_t size) {
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    int index = pool_index_of(node);
    return index < 0 ? NULL : na_aligned_on((unsigned)index, alignment, size, CALLER);
}

/* --- where memory is ----------------------------------------------------------------------- */

static bool is_block(struct segment *segment, const void *pointer) {
    const struct page *page = page_of(segment, pointer);
    /* Read once: a page whose blocks are all free may end at any time. */
    uint32_t block_bytes = *(const volatile uint32_t *)&page->block_size;
    switch (segment->kind) {
    case SEGMENT_HUGE:
        return (uintptr_t)pointer == segment->base;
    case SEGMENT_SPAN:
        return block_bytes != 0 && ((uintptr_t)pointer & (SLICE_SIZE - 1)) == 0;
    default:
        return page->heap != NULL && block_bytes != 0 &&
               ((uintptr_t)pointer - (uintptr_t)page_start(page)) % block_bytes == 0;
    }
}

exported int na_node_of(const void *pointer) {
    struct segment *segment = segment_of_any(pointer);
    if (segment == NULL || !segment_holds(segment, pointer) || !is_block(segment, pointer)) {
        errno = EINVAL;
        return -1;
    }
    const struct pool *pool = segment->pool;
    if (pool->node < 0)
        errno = pool->spread == SPREAD_NONE ? ENODATA : EXDEV;
    return pool->node;
}

exported enum na_resident_status na_resident(const void *pointer, size_t size, size_t *counts,
                                             size_t n) {
    uintptr_t end;
    if (counts == NULL || __builtin_add_overflow((uintptr_t)pointer, size, &end)) {
        errno = EINVAL;
        return NA_RESIDENT_INVALID;
    }
    struct residency residency;
    residency_begin(&residency, counts, n);
    if (size != 0)
        residency_add(&residency, (uintptr_t)pointer, size, sys_page_bytes());
    residency_flush(&residency);
    if (residency.error != 0) {
        errno = residency.error;
        return NA_RESIDENT_REFUSED;
    }
    if (residency.elsewhere != 0)
        return NA_RESIDENT_MORE_NODES;
    return residency.absent != 0 ? NA_RESIDENT_PARTLY : NA_RESIDENT_OK;
}

/* --- what the allocator has done ----------------------------------------------------------- */

/* A structure of the first version ends here. */
#define NA_STATS_BYTES_MIN (offsetof(struct na_stats, foreign_frees) + sizeof(uint64_t))

reads_unlocked static struct na_node_stats node_stats(const struct pool *pool) {
    return (struct na_node_stats){
        .node = pool->node,
        .placing = pool->placing,
        .arenas = pool->arenas,
        .committed_bytes = pool->slices_used * SLICE_SIZE,
        .committed_bytes_peak = pool->slices_used_peak * SLICE_SIZE,
        .huge_bytes = pool->huge_bytes,
        .huge_bytes_peak = pool->huge_bytes_peak,
        .purged_bytes = pool->slices_purged * SLICE_SIZE,
        .refusals = atomic_load(&pool->policy_refusals),
        .refusal_errno = atomic_load(&pool->policy_errno),
        .full_demands = atomic_load(&pool->full_demands),
        .huge_page_refusals = atomic_load(&pool->pages_refusals),
    };
}

reads_unlocked exported int na_stats(struct na_stats *result) {
    if (result == NULL || result->struct_bytes < NA_STATS_BYTES_MIN ||
        (result->nodes == NULL && result->node_capacity != 0)) {
        errno = EINVAL;
        return -1;
    }
    runtime_set_up();
    struct heap_stats stats;
    stats_gather(&stats);
    struct na_stats filled = {
        .struct_bytes = sizeof filled,
        .nodes = result->nodes,
        .node_capacity = result->node_capacity,
        .live_blocks = stats.page_live_blocks + stats.span_blocks + stats.huge_blocks,
        .live_bytes = stats_live_bytes(&stats),
        .committed_bytes = stats.committed_bytes,
        .metadata_bytes = meta.bytes,
        .threads = stats.threads,
        .remote_frees = stats.remote_frees,
        .node_switches = stats.node_switches,
        .foreign_frees = atomic_load(&na.foreign_frees),
    };
    for (unsigned i = 0; i < na.pool_count; i++) {
        if (!pool_is_told(&na.pools[i]))
            continue;
        if (filled.node_count < filled.node_capacity)
            filled.nodes[filled.node_count] = node_stats(&na.pools[i]);
        filled.node_count++;
    }
    if (filled.struct_bytes > result->struct_bytes)
        filled.struct_bytes = result->struct_bytes;
    memcpy(result, &filled, filled.struct_bytes);
    return 0;
}

exported int na_stats_json(int fd) {
    runtime_set_up();
    int error = stats_write(fd);
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

exported size_t na_purge(void) {
    return atomic_load(&na.ready) ? na_trim() : 0;
}

/* --- linked into a program ----------------------------------------------------------------- */

/* libnuma_alloc.a cannot ask the loader to be set up first, as the shared library does (process.c
 * says why); a program's own .preinit_array runs before the constructors of every library. */
#ifdef NA_IN_PROGRAM
__attribute__((section(".preinit_array"),
               used)) static void (*const set_up_first)(void) = set_up_before_main;
#endif
