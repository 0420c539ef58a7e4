/* From any address to its segment in one load; NULL for addresses that are not ours. The table
 * covers the whole address space, so foreign pointers need no special case; only what is used is
 * ever touched: an entry stands for 32 MiB. A huge block has an entry at its start alone. */
#pragma once

#include "types.h"

static _Atomic(struct segment *) segment_table[(size_t)1 << (ADDRESS_BITS - SEGMENT_SHIFT)];

static inline struct segment *segment_of(const void *pointer) {
    return atomic_load_explicit(&segment_table[(uintptr_t)pointer >> SEGMENT_SHIFT],
                                memory_order_relaxed);
}

/* The same for whatever number a pointer may be; the table has no entries for the highest. */
static inline struct segment *segment_of_any(const void *pointer) {
    return (uintptr_t)pointer >> ADDRESS_BITS == 0 ? segment_of(pointer) : NULL;
}

/* Ordered after the segment's set-up: who was handed a block has synchronised with its allocation.
 */
static void segment_register(struct segment *segment) {
    atomic_store_explicit(&segment_table[segment->base >> SEGMENT_SHIFT], segment,
                          memory_order_release);
}

static void segment_unregister(struct segment *segment) {
    atomic_store_explicit(&segment_table[segment->base >> SEGMENT_SHIFT], NULL,
                          memory_order_release);
}

/* The index in pages[] and heaps[] of what an address in the segment belongs to. */
static inline size_t page_index(const struct segment *segment, const void *pointer) {
    return ((uintptr_t)pointer & (SEGMENT_SIZE - 1)) >> segment->page_shift;
}

/* The page or span at an index. The empty asm keeps the compiler from adding the array's place to
 * the index, which an address can hold. */
static inline struct page *page_at(struct segment *segment, size_t index) {
    uintptr_t offset = index * sizeof(struct page);
    __asm__("" : "+r"(offset));
    return (struct page *)((uintptr_t)segment->pages + offset);
}

/* The page or span that an address in the segment belongs to. */
static inline struct page *page_of(struct segment *segment, const void *pointer) {
    return page_at(segment, page_index(segment, pointer));
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
