/* From any address to its segment in one load; NULL for addresses that are not ours. The table
 * covers the whole address space, so foreign pointers need no special case; only what is used is
 * ever touched: an entry stands for 32 MiB. A huge block has an entry at its start alone. */
#pragma once

#include "types.h"

#define SEGMENT_TABLE_BYTES (sizeof(struct segment *) << (ADDRESS_BITS - SEGMENT_SHIFT))

static _Atomic(struct segment *) segment_table[SEGMENT_TABLE_BYTES / sizeof(struct segment *)];

static inline struct segment *segment_in(_Atomic(struct segment *) *table, const void *pointer) {
    return atomic_load_explicit(&table[(uintptr_t)pointer >> SEGMENT_SHIFT], memory_order_relaxed);
}

static inline struct segment *segment_of(const void *pointer) {
    return segment_in(segment_table, pointer);
}

static void segment_set(uintptr_t base, const struct pool *pool, struct segment *segment) {
    atomic_store_explicit(&segment_table[base >> SEGMENT_SHIFT], segment, memory_order_release);
    if (pool->node_table != NULL)
        atomic_store_explicit(&pool->node_table[base >> SEGMENT_SHIFT], segment,
                              memory_order_release);
}

/* Ordered after the segment's set-up: who was handed a block has synchronised with its allocation.
 */
static void segment_register(struct segment *segment) {
    segment_set(segment->base, segment->pool, segment);
}

static void segment_unregister(struct segment *segment) {
    segment_set(segment->base, segment->pool, NULL);
}

/* The page or span that an address in the segment belongs to. The empty asms keep the compiler from
 * working the address out twice, once for free's fast path and once for its slow one, and from
 * adding the array's place to the index where an address can hold it. */
static inline struct page *page_of(struct segment *segment, const void *pointer) {
    uintptr_t index = ((uintptr_t)pointer & (SEGMENT_SIZE - 1)) >> segment->page_shift;
    uintptr_t offset = index * sizeof(struct page);
    __asm__("" : "+r"(offset));
    struct page *page = (struct page *)((uintptr_t)segment->pages + offset);
    __asm__("" : "+r"(page));
    return page;
}

static inline unsigned slice_of(const struct segment *segment, const void *pointer) {
    return (unsigned)(((uintptr_t)pointer - segment->base) >> SLICE_SHIFT);
}

/* Whether addresses [start, start + size_bytes) can be looked up at all. */
static bool segment_table_covers(uintptr_t start, size_t size_bytes) {
    return start + size_bytes <= (uintptr_t)1 << ADDRESS_BITS;
}

/* Whether an address whose entry leads to the segment lies in it. */
static bool segment_holds(const struct segment *segment, const void *pointer) {
    size_t bytes =
        segment->kind == SEGMENT_HUGE ? segment->huge_bytes : segment->slices * SLICE_SIZE;
    return (uintptr_t)pointer - segment->base < bytes;
}
