/* One thread's pages: a bin of pages for every size class, and the slow path of malloc.
 */
#pragma once

#include "page.c"
#include "pool.c"

/* A bin's empty page is given back after it was empty at this many ticks; a tick comes with every
 * TICK_REFILLS-th refill. */
#define KEPT_PAGE_TICKS 16
#define TICK_REFILLS    64

/* Stands where a heap has no page; never written. */
static const struct page empty_page;

/* --- bins ---------------------------------------------------------------------------------- */

/* Points the direct entries of the bin's sizes at its first page. */
static void bin_update_direct(struct heap *heap, unsigned size_class) {
    size_t largest = size_class_bytes(size_class);
    if (largest > DIRECT_MAX)
        return;
    size_t smallest = size_class == 0 ? 0 : size_class_bytes(size_class - 1) + 1;
    struct page *page = heap->bins[size_class].first;
    if (page == NULL)
        page = (struct page *)&empty_page;
    for (size_t i = (smallest + BLOCK_ALIGNMENT - 1) / BLOCK_ALIGNMENT;
         i <= largest / BLOCK_ALIGNMENT; i++)
        heap->direct[i] = page;
}

static void bin_remove(struct heap *heap, struct page *page) {
    struct bin *bin = &heap->bins[page->size_class];
    bool was_first = bin->first == page;
    if (page->prev != NULL)
        page->prev->next = page->next;
    else
        bin->first = page->next;
    if (page->next != NULL)
        page->next->prev = page->prev;
    else
        bin->last = page->prev;
    page->next = page->prev = NULL;
    if (was_first)
        bin_update_direct(heap, page->size_class);
}

/* An empty page leaves its bin and its memory goes back to the pool. */
static void heap_release_page(struct heap *heap, struct page *page) {
    const void *start = page_start(page);
    struct segment *segment = segment_of(start);
    na_assert(atomic_load_explicit(&page->thread_free, memory_order_relaxed) == 0);
    bin_remove(heap, page);
    page->heap = NULL;
    page->block_size = 0;
    segment->heaps[page_index(segment, start)] = NULL;
    pool_return_run(segment, slice_of(segment, start), kind_page_slices(segment->kind));
}

/* The bin's kept page, if it has one, counts as any other again, and goes if it is empty. */
static void bin_end_keeping(struct heap *heap, struct bin *bin) {
    struct page *page = bin->kept;
    if (page == NULL)
        return;
    bin->kept = NULL;
    page->state = PAGE_QUEUED;
    if (--page->used == 0)
        heap_release_page(heap, page);
}

static void bin_append(struct heap *heap, struct page *page) {
    struct bin *bin = &heap->bins[page->size_class];
    page->state = PAGE_QUEUED;
    page->next = NULL;
    page->prev = bin->last;
    if (bin->last != NULL)
        bin->last->next = page;
    else
        bin->first = page;
    bin->last = page;
    if (bin->first == page)
        bin_update_direct(heap, page->size_class);
}

/* --- empty and parked pages ---------------------------------------------------------------- */

/* A queued page whose blocks have all been freed. */
static void heap_empty_page(struct heap *heap, struct page *page) {
    struct bin *bin = &heap->bins[page->size_class];
    if (bin->kept != NULL && bin->kept->used == 1) {
        heap_release_page(heap, page);
        return;
    }
    bin_end_keeping(heap, bin);
    bin->kept = page;
    page->state = PAGE_KEPT;
    page->used = 1;
    page->ticks_left = KEPT_PAGE_TICKS;
}

/* The owner's free has brought page->used to 0: a parked page has its first free block, or a queued
 * one its last. */
static slow_path void page_attend(struct page *page) {
    if (page->state == PAGE_PARKED) {
        page_unpark(page, 1);
        uintptr_t before = atomic_fetch_and_explicit(&page->thread_free, ~THREAD_FREE_PARKED,
                                                     memory_order_acq_rel);
        if ((before & THREAD_FREE_PARKED) != 0)
            bin_append(page->heap, page);
        else
            page->state = PAGE_ANNOUNCED; /* another thread was first and brings it back */
    }
    if (page->used == 0 && page->state == PAGE_QUEUED)
        heap_empty_page(page->heap, page);
    else if (unlikely(page->used == 0 && page->state == PAGE_KEPT)) /* none was in use */
        die_of_misuse("double free in memory where every block is free", page_start(page));
}

/* Never returns. The compiler is not to know: it would then make free a stack frame for this call
 * instead of jumping here. */
static slow_path void page_refuse(const void *block) {
    __asm__("" : "+r"(block));
    if (block != NULL)
        die_of_misuse("double free", block);
}

/* The owner's free: the fast path, with checks off. */
static inline void page_free_own(struct page *page, struct block *block) {
    struct block **list = (struct block **)((uintptr_t)page + page->own_list);
    if (unlikely(*list == block)) { /* freed twice in a row; so far glibc looks as well */
        page_refuse(block);
        return;
    }
    block->next = *list;
    *list = block;
    if (unlikely(--page->used == 0))
        page_attend(page);
}

/* The same with checks on; the block has passed them. */
static inline void page_take_back(struct page *page, struct block *block) {
    block_link(block, page->local_free);
    page->local_free = block;
    if (unlikely(--page->used == 0))
        page_attend(page);
}

/* Takes back the pages that other threads have announced. */
static void thread_take_ready(struct thread *thread) {
    if (likely(atomic_load_explicit(&thread->ready, memory_order_relaxed) == NULL))
        return;
    struct page *page = atomic_exchange_explicit(&thread->ready, NULL, memory_order_acquire);
    while (page != NULL) {
        struct page *next = page->next;
        struct heap *heap = page->heap;
        if (page->state == PAGE_PARKED)
            page_unpark(page, 0);
        bin_append(heap, page);
        page_collect(page);
        if (page->used == 0)
            heap_empty_page(heap, page);
        page = next;
    }
}

/* Gives back the kept pages whose time is over. */
static void heap_tick(struct heap *heap) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct page *page = heap->bins[size_class].kept;
        if (page == NULL)
            continue;
        page_collect(page);
        if (page->used != 1)
            page->ticks_left = KEPT_PAGE_TICKS;
        else if (--page->ticks_left == 0)
            bin_end_keeping(heap, &heap->bins[size_class]);
    }
}

/* Collects what has been freed in up to `pages_a_bin` pages of each bin and gives empty pages back.
 */
static void heap_collect(struct heap *heap, unsigned pages_a_bin) {
    for (unsigned size_class = 0; size_class < SIZE_CLASSES; size_class++) {
        struct bin *bin = &heap->bins[size_class];
        bin_end_keeping(heap, bin);
        struct page *page = bin->first, *next;
        for (unsigned seen = 0; page != NULL && seen < pages_a_bin; seen++, page = next) {
            next = page->next;
            page_collect(page);
            if (page->used == 0)
                heap_release_page(heap, page);
        }
    }
}

/* Every thread has room for this many heaps: one a node for blocks asked for there by name, and
 * then those malloc takes from, one or, where that depends on the thread's node, one a node. */
static unsigned heap_count(void) {
    return na.node_count + (na.follows_node && na.node_count > 1 ? na.node_count : 1);
}

static void thread_open_mail(struct thread *thread);
static void thread_post_mail(struct thread *thread);

static void thread_collect(struct thread *thread, unsigned pages_a_bin) {
    thread_open_mail(thread);
    thread_take_ready(thread);
    for (unsigned i = 0; i < heap_count(); i++)
        if (thread->heaps[i] != NULL)
            heap_collect(thread->heaps[i], pages_a_bin);
}

/* --- refilling ----------------------------------------------------------------------------- */

/* How many pages of each bin are searched for empty ones before address space is taken: a bound on
 * a search that comes at most once for every segment carved. */
#define COLLECT_PAGES_A_BIN 64

static void threads_collect_orphans(unsigned pages_a_bin);

/* Looks for memory whose blocks have all been freed, in the calling thread's pages (`thread` may be
 * NULL) and in those of threads that have ended. */
static void collect_freed(struct thread *thread, unsigned pages_a_bin) {
    if (thread != NULL) {
        thread_post_mail(thread);
        thread_collect(thread, pages_a_bin);
    }
    threads_collect_orphans(pages_a_bin);
}

/* Takes a run; where the pool has none, first looks a little for what has been freed, and where no
 * more can be had looks everywhere. */
static struct run take_run(struct pool *pool, struct thread *thread, enum segment_kind kind,
                           unsigned count, unsigned alignment) {
    struct run run = pool_take_run(pool, kind, count, alignment, false);
    if (run.segment != NULL)
        return run;
    if (!atomic_exchange_explicit(&pool->collected, true, memory_order_relaxed))
        collect_freed(thread, COLLECT_PAGES_A_BIN);
    run = pool_take_run(pool, kind, count, alignment, true);
    if (run.segment != NULL)
        return run;
    collect_freed(thread, UINT_MAX);
    (void)pools_let_go_of_kept();
    return pool_take_run(pool, kind, count, alignment, true);
}

/* Where the heap's next page of blocks of that size comes from. */
static struct pool *heap_pool(struct heap *heap, size_t block_bytes, unsigned slices) {
    if (!heap->follows_policy || block_bytes < na.config.min_size_bytes)
        return heap->pool;
    return heap->rotation != NULL ? rotation_take(heap->rotation, slices) : na.policy_pool;
}

/* A page of the class from the pool, with free blocks and in its bin, or NULL. */
static struct page *heap_fresh_page(struct heap *heap, unsigned size_class) {
    enum segment_kind kind =
        size_class_bytes(size_class) <= SMALL_SIZE_MAX ? SEGMENT_SMALL : SEGMENT_MEDIUM;
    unsigned slices = kind_page_slices(kind);
    struct pool *pool = heap_pool(heap, size_class_bytes(size_class), slices);
    struct run run = take_run(pool, heap->thread, kind, slices, slices);
    if (run.segment == NULL)
        return NULL;
    void *start = run_start(run);
    struct page *page = page_of(run.segment, start);
    page_init(page, size_class, start, heap);
    run.segment->heaps[page_index(run.segment, start)] = heap;
    page_extend(page);
    bin_append(heap, page);
    return page;
}

/* A page of the class that has a free block; NULL when there is no memory.
 * Pages found without one are parked on the way, so none is looked at twice for nothing. */
static struct page *heap_refill(struct heap *heap, unsigned size_class) {
    struct thread *thread = heap->thread;
    struct bin *bin = &heap->bins[size_class];
    if (++thread->refills % TICK_REFILLS == 0) {
        heap_tick(heap);
        thread_post_mail(thread);
    }
    thread_open_mail(thread);
    thread_take_ready(thread);
    for (struct page *page = bin->first; page != NULL; page = bin->first) {
        page_collect(page);
        if (page->free == NULL && page->capacity < page_blocks_max(page))
            page_extend(page);
        if (page->free != NULL)
            return page;
        /* Out of the bin first: once it is marked, another thread may announce it and use its link.
         */
        if (page == bin->kept)
            bin_end_keeping(heap, bin);
        bin_remove(heap, page);
        if (!page_park(page))
            bin_append(heap, page);
    }
    return heap_fresh_page(heap, size_class);
}
