/* One page's free lists: extending, collecting, parking. The owner alone calls these, but for
 * page_free_remote. */
#pragma once

#include "records.c"

/* Blocks are put on the free list a kernel page at a time, so that memory is touched as it is used.
 */
#define EXTEND_BYTES (4 * KIB)

/* Blocks up to this go through `local_free` where threads follow their node: nearly every program
 * keeps replacing some, and they lose least by not being reused at once. */
#define LOOK_SIZE_MAX 128

static inline void *page_start(const struct page *page) {
    return (void *)((uintptr_t)page->start_slice << SLICE_SHIFT);
}

/* Blocks that fit. */
static inline unsigned page_blocks_max(const struct page *page) {
    size_t bytes = page->block_size <= SMALL_SIZE_MAX ? SLICE_SIZE : (size_t)1 << MEDIUM_PAGE_SHIFT;
    return (unsigned)bytes / page->block_size;
}

/* Describes a fresh run of slices as a page without blocks. */
static void page_init(struct page *page, unsigned size_class, const void *start,
                      struct heap *heap) {
    size_t block_bytes = size_class_bytes(size_class);
    page->free = page->local_free = NULL;
    page->used = 0;
    page->block_size = (uint32_t)block_bytes;
    page->start_slice = (uint32_t)((uintptr_t)start >> SLICE_SHIFT);
    atomic_store_explicit(&page->thread_free, 0, memory_order_relaxed);
    page->next = page->prev = NULL;
    page->capacity = 0;
    page->own_list = na.config.checks || (na.follows_node && block_bytes <= LOOK_SIZE_MAX)
                         ? offsetof(struct page, local_free)
                         : offsetof(struct page, free);
    page->size_class = (uint8_t)size_class;
    page->state = PAGE_QUEUED;
    page->heap = heap;
}

/* With checks on, so many neighbours are handed out in no foreseeable order, and one group after
 * the other: shuffled further, what a program allocates in turn and then reads in turn defeats the
 * processor's prefetching (sqlite3's sorter took 1.4 times as long with groups of 4 KiB). */
#define SHUFFLED_BLOCKS 8

/* Puts up to SHUFFLED_BLOCKS blocks on the free list, from `first` on. */
static void page_add_shuffled(struct page *page, uintptr_t first, unsigned count) {
    static _Atomic(uint64_t) groups;
    uint64_t random =
        (atomic_fetch_add_explicit(&groups, 1, memory_order_relaxed) ^ na.secrets[2]) * GOLDEN;
    unsigned char order[SHUFFLED_BLOCKS];
    random = (random ^ random >> 32) * GOLDEN;
    for (unsigned i = 0; i < count; i++) { /* Fisher and Yates's, inside out: Knuth 3.4.2 */
        unsigned at = (unsigned)((random >> 32) % (i + 1));
        random = (random << 8) | (random >> 56);
        order[i] = order[at];
        order[at] = (unsigned char)i;
    }
    for (unsigned i = 0; i < count; i++) {
        struct block *block = (struct block *)(first + order[i] * page->block_size);
        poison_put(block, sizeof *block, fresh_poison_end(page->block_size));
        block_link(block, page->free);
        page->free = block;
    }
}

/* page_extend with checks on: the blocks are shuffled and poisoned. */
static slow_path void page_extend_shuffled(struct page *page, unsigned count) {
    struct segment *segment = segment_of(page_start(page));
    size_t block_bytes = page->block_size;
    uintptr_t first = (uintptr_t)page_start(page) + page->capacity * block_bytes;
    for (unsigned i = 0; i < count; i++)
        record_store(record_at(segment, page, page->capacity + i), 0);
    __atomic_store_n(&page->capacity, (uint16_t)(page->capacity + count), __ATOMIC_RELAXED);
    while (count > 0) { /* what was put there last is handed out first */
        unsigned group = (count - 1) % SHUFFLED_BLOCKS + 1;
        count -= group;
        page_add_shuffled(page, first + count * block_bytes, group);
    }
}

/* Puts blocks that were never handed out on the free list. */
static void page_extend(struct page *page) {
    size_t block_bytes = page->block_size;
    unsigned count = (unsigned)(EXTEND_BYTES / block_bytes);
    unsigned least = na.config.checks ? SHUFFLED_BLOCKS : 1;
    unsigned room = page_blocks_max(page) - page->capacity;
    if (count < least)
        count = least;
    if (count > room)
        count = room;
    if (unlikely(na.config.checks)) {
        page_extend_shuffled(page, count);
        return;
    }
    uintptr_t first = (uintptr_t)page_start(page) + page->capacity * block_bytes;
    struct block *block = (struct block *)first;
    for (unsigned i = 1; i < count; i++) {
        struct block *next = (struct block *)((uintptr_t)block + block_bytes);
        block->next = next;
        block = next;
    }
    block->next = page->free;
    page->free = (struct block *)first;
    page->capacity = (uint16_t)(page->capacity + count);
}

/* Takes over what other threads have freed. */
static void page_collect_remote(struct page *page) {
    /* Acquire: the freeing threads' last uses of the blocks come before our handing them out. */
    uintptr_t taken = atomic_exchange_explicit(&page->thread_free, 0, memory_order_acquire);
    struct block *first = (struct block *)(taken & ~THREAD_FREE_PARKED);
    if (first == NULL)
        return;
    struct block *last = first;
    unsigned count = 1;
    for (struct block *next; (next = block_next(last)) != NULL; last = next)
        count++;
    na_assert(count <= page->used);
    block_link(last, page->free);
    page->free = first;
    page->used = (uint16_t)(page->used - count);
}

/* Makes every block that has been freed ready for malloc. Not while parked. */
static void page_collect(struct page *page) {
    if (atomic_load_explicit(&page->thread_free, memory_order_relaxed) != 0)
        page_collect_remote(page);
    if (page->local_free == NULL)
        return;
    if (page->free == NULL) {
        page->free = page->local_free;
    } else {
        struct block *last = page->local_free;
        for (struct block *next; (next = block_next(last)) != NULL; last = next)
            continue;
        block_link(last, page->free);
        page->free = page->local_free;
    }
    page->local_free = NULL;
}

/* Where the owner frees to `local_free`: malloc takes that over when a page (or NULL) has run out.
 */
static void page_take_own(struct page *page) {
    if (page == NULL || page->free != NULL)
        return;
    page->free = page->local_free;
    page->local_free = NULL;
}

/* Marks a page without any free block so that its next free announces it. False when another thread
 * has freed a block in the meantime. */
static bool page_park(struct page *page) {
    uintptr_t expected = 0;
    if (!atomic_compare_exchange_strong_explicit(&page->thread_free, &expected, THREAD_FREE_PARKED,
                                                 memory_order_release, memory_order_relaxed))
        return false;
    page->state = PAGE_PARKED;
    page->used = 1;
    return true;
}

/* Undoes page_park's change to `used`; all blocks but those on thread_free are in use. */
static void page_unpark(struct page *page, unsigned freed) {
    page->used = (uint16_t)(page->capacity - freed);
}

/* Puts a parked page on its owner's list of pages to look at. Only the thread that cleared
 * THREAD_FREE_PARKED may: until the owner has taken the list, it neither queues nor gives back the
 * page, so page->next and page->heap are ours to use. */
static slow_path void page_announce(struct page *page) {
    struct thread *owner = page->heap->thread;
    struct page *head = atomic_load_explicit(&owner->ready, memory_order_relaxed);
    do {
        page->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&owner->ready, &head, page,
                                                    memory_order_release, memory_order_relaxed));
}

/* A free by a thread that does not own the page: the block goes home by one compare-and-swap. */
static void page_free_remote(struct page *page, struct block *block) {
    uintptr_t head = atomic_load_explicit(&page->thread_free, memory_order_relaxed);
    if (unlikely((struct block *)head == block))
        die_of_misuse("double free", block);
    do {
        block_link(block, (struct block *)(head & ~THREAD_FREE_PARKED));
    } while (!atomic_compare_exchange_weak_explicit(&page->thread_free, &head, (uintptr_t)block,
                                                    memory_order_acq_rel, memory_order_relaxed));
    if (unlikely((head & THREAD_FREE_PARKED) != 0))
        page_announce(page);
}
