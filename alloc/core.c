/* malloc and its kin without their names: the fast paths, and the choice between page, span and
 * mapping. Entry points are in entry.c. */
#pragma once

#include "span.c"
#include "thread.c"

/* --- allocate ------------------------------------------------------------------------------ */

static slow_path void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* How a block of that size that has no page is placed. */
static enum large_rule large_rule(size_t size) {
    if (na.policy_pool == NULL || size < na.config.min_size_bytes)
        return LARGE_LOCAL;
    return size <= na.turns_size_max ? LARGE_TURNS : LARGE_POLICY;
}

static struct pool *large_pool(enum large_rule rule, size_t size) {
    switch (rule) {
    case LARGE_LOCAL:
        return &na.pools[pool_index_here()];
    case LARGE_TURNS:
        return span_turns_take(size);
    default:
        return na.policy_pool;
    }
}

/* A block above CLASS_SIZE_MAX, or aligned to more; `pool` NULL: where the policy says, otherwise
 * where the caller does. *zeroed: on entry whether it had better, on return whether it does read as
 * zero. */
static __attribute__((noinline)) void *allocate_large(struct pool *pool, size_t size,
                                                      size_t alignment, bool *zeroed) {
    runtime_set_up();
    if (size > PTRDIFF_MAX)
        return no_memory();
    if (size == 0)
        size = 1;
    enum large_rule rule = pool == NULL ? large_rule(size) : LARGE_CALLER;
    if (pool == NULL)
        pool = large_pool(rule, size);
    void *block;
    if (size <= na.span_size_max && alignment <= na.span_size_max)
        block = span_allocate(pool, tls.heap == &empty_heap ? NULL : tls.heap->thread, size,
                              alignment, zeroed);
    else
        block = huge_allocate(pool, size, alignment, zeroed);
    if (block == NULL)
        return no_memory();
    page_of(segment_of(block), block)->size_class = (uint8_t)rule;
    return block;
}

static inline void *page_pop(struct page *page) {
    struct block *block = page->free;
    page->free = block->next;
    page->used++;
    return block;
}

/* A block of that heap, from the first page of its bin or by a refill. */
static inline void *heap_take(struct heap *heap, unsigned size_class) {
    struct page *page = heap->bins[size_class].first;
    if (page == NULL || page->free == NULL)
        page = heap_refill(heap, size_class);
    return likely(page != NULL) ? page_pop(page) : no_memory();
}

/* For a thread without heaps: new, or ended. The latter borrows some for this one call, since
 * nothing would take them back later. */
static slow_path void *allocate_without_heap(unsigned size_class) {
    struct heap *heap = thread_attach();
    if (heap == NULL)
        return no_memory();
    void *block = heap_take(heap, size_class);
    if (tls.ended)
        thread_detach();
    return block;
}

static __attribute__((noinline)) void *allocate_class_slowly(struct heap *heap,
                                                             unsigned size_class) {
    if (unlikely(heap == &empty_heap))
        return allocate_without_heap(size_class);
    if (na.follows_node) {
        struct page *page = heap->bins[size_class].first;
        if (page == NULL || page->local_free == NULL || --heap->thread->pops_to_look == 0)
            heap = thread_follow_node(heap);
        page_take_own(heap->bins[size_class].first);
    }
    return heap_take(heap, size_class);
}

static inline void *allocate_class(struct heap *heap, unsigned size_class) {
    struct page *page = heap->bins[size_class].first;
    if (likely(page != NULL && page->free != NULL))
        return page_pop(page);
    return allocate_class_slowly(heap, size_class);
}

static __attribute__((noinline)) void *allocate_beyond_direct(size_t size) {
    bool zeroed = false;
    if (size <= CLASS_SIZE_MAX)
        return allocate_class(tls.heap, size_class_of(size));
    return allocate_large(NULL, size, 1, &zeroed);
}

static inline void *na_malloc(size_t size) {
    if (likely(size <= DIRECT_MAX)) {
        struct page *page = tls.heap->direct[(size + BLOCK_ALIGNMENT - 1) / BLOCK_ALIGNMENT];
        if (likely(page->free != NULL))
            return page_pop(page);
    }
    return allocate_beyond_direct(size);
}

static void *na_calloc(size_t count, size_t size) {
    size_t bytes;
    if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
        return no_memory();
    bool zeroed = bytes > CLASS_SIZE_MAX;
    void *block = likely(!zeroed) ? na_malloc(bytes) : allocate_large(NULL, bytes, 1, &zeroed);
    if (block != NULL && !zeroed)
        memset(block, 0, bytes);
    return block;
}

/* `alignment` must be a power of two. */
static void *na_aligned(size_t alignment, size_t size) {
    if (alignment <= BLOCK_ALIGNMENT)
        return na_malloc(size);
    unsigned size_class = size_class_aligned(size, alignment);
    if (size_class < SIZE_CLASSES)
        return allocate_class(tls.heap, size_class);
    bool zeroed = false;
    return allocate_large(NULL, size, alignment, &zeroed);
}

/* The same where that takes no slow path, which might set errno; else NULL. */
static inline void *na_aligned_at_once(size_t alignment, size_t size) {
    unsigned size_class = size_class_aligned(size, alignment);
    struct page *page = size_class < SIZE_CLASSES ? tls.heap->bins[size_class].first : NULL;
    return page != NULL && page->free != NULL ? page_pop(page) : NULL;
}

/* --- allocate on a node by name -------------------------------------------------------------- */

/* Takes from the thread's heap of that node, and leaves alone which one malloc takes from. */
static void *allocate_class_on(unsigned node_index, unsigned size_class) {
    struct heap *heap = tls.heap == &empty_heap ? thread_attach() : tls.heap;
    if (heap == NULL)
        return no_memory();
    heap = thread_heap(heap->thread, node_index);
    void *block = heap != NULL ? heap_take(heap, size_class) : no_memory();
    if (tls.ended)
        thread_detach();
    return block;
}

/* `node_index`: of the pool, below na.node_count; `alignment` must be a power of two. */
static void *na_aligned_on(unsigned node_index, size_t alignment, size_t size) {
    unsigned size_class = size_class_aligned(size, alignment);
    if (size_class < SIZE_CLASSES)
        return allocate_class_on(node_index, size_class);
    bool zeroed = false;
    return allocate_large(&na.pools[node_index], size, alignment, &zeroed);
}

/* --- free ---------------------------------------------------------------------------------- */

/* A pointer from another allocator (or none): it cannot be freed here, and the program may well be
 * right to pass it, so it is left alone, counted and mentioned once. */
static slow_path void free_foreign(const void *pointer) {
    if (pointer == NULL)
        return;
    atomic_fetch_add_explicit(&na.foreign_frees, 1, memory_order_relaxed);
    if (na.config.on_error == ON_ERROR_SILENT || atomic_exchange(&na.warned_foreign, true))
        return;
    struct message message;
    message_begin(&message);
    text_add(&message.text, "free of ");
    text_add_hex(&message.text, (uintptr_t)pointer);
    text_add(&message.text, ", which this library did not allocate; ignored (said once)");
    message_send(&message);
}

/* Gives a thread that has freed but never allocated its own place to count. */
static inline void count_remote_free(void) {
    if (unlikely(tls.heap == &empty_heap && !tls.ended)) {
        int saved_errno = errno;
        (void)thread_attach();
        errno = saved_errno;
    }
    struct thread *thread = tls.heap->thread;
    uint64_t before = atomic_load_explicit(&thread->remote_frees, memory_order_relaxed);
    atomic_store_explicit(&thread->remote_frees, before + 1, memory_order_relaxed);
}

/* A free of a block of another thread's page, or of another heap of this one's. Larger blocks do
 * not wait in letters: few of them are much memory. */
static void free_in_page(struct segment *segment, void *pointer) {
    size_t index = page_index(segment, pointer);
    const struct heap *heap = segment->heaps[index];
    if (unlikely(heap == NULL))
        die_of_misuse("invalid pointer, or freed twice:", pointer);
    if (heap->thread == tls.heap->thread) {
        page_free_own(page_at(segment, index), pointer);
        return;
    }
    count_remote_free();
    if (segment->kind != SEGMENT_SMALL || tls.heap == &empty_heap ||
        !mail_send(tls.heap->thread, heap->thread, pointer))
        page_free_remote(page_at(segment, index), pointer);
}

/* A free of a block that is not in a page of the heap this thread takes from. */
static __attribute__((noinline)) void free_elsewhere(struct segment *segment, void *pointer) {
    if (unlikely(!segment_holds(segment, pointer))) {
        free_foreign(pointer);
        return;
    }
    switch (segment->kind) {
    case SEGMENT_SPAN:
        span_free(segment, pointer);
        return;
    case SEGMENT_HUGE:
        huge_free(segment, pointer);
        return;
    default:
        free_in_page(segment, pointer);
    }
}

static inline void na_free(void *pointer) {
    struct segment *segment = segment_of(pointer);
    if (unlikely(segment == NULL)) {
        free_foreign(pointer);
        return;
    }
    size_t index = page_index(segment, pointer);
    if (unlikely(segment->heaps[index] != tls.heap)) {
        free_elsewhere(segment, pointer);
        return;
    }
    page_free_own(page_at(segment, index), pointer);
}

/* --- resize -------------------------------------------------------------------------------- */

/* The segment that holds the block, or NULL when the pointer is not ours. */
static struct segment *find_segment(const void *pointer) {
    struct segment *segment = segment_of(pointer);
    return segment != NULL && segment_holds(segment, pointer) ? segment : NULL;
}

static size_t block_bytes(struct segment *segment, const void *pointer) {
    return segment->kind == SEGMENT_HUGE ? segment->huge_bytes
                                         : page_of(segment, pointer)->block_size;
}

/* Bytes the caller may use of a block; 0 for NULL and for pointers that are not ours. */
static size_t na_usable_size(const void *pointer) {
    struct segment *segment = find_segment(pointer);
    return segment == NULL ? 0 : block_bytes(segment, pointer);
}

/* Whether na_malloc_on and not the policy decided where the block is. */
static bool placed_by_caller(struct segment *segment, const void *pointer) {
    const struct page *page = page_of(segment, pointer);
    if (segment->kind < PAGED_KINDS)
        return page->heap != NULL && page->heap->names_node;
    return page->size_class == LARGE_CALLER;
}

/* A block that shrinks stays where it is when there is no memory for a smaller one. */
static void *resize_by_copy(struct segment *segment, void *pointer, size_t old_size, size_t size) {
    int saved_errno = errno;
    void *block = unlikely(placed_by_caller(segment, pointer))
                      ? na_aligned_on((unsigned)(segment->pool - na.pools), 1, size)
                      : na_malloc(size);
    if (block == NULL) {
        if (size > old_size)
            return NULL;
        errno = saved_errno;
        return pointer;
    }
    memcpy(block, pointer, old_size < size ? old_size : size);
    na_free(pointer);
    return block;
}

/* A block that has no page, resized to something that has none either, where it stands or by moving
 * its pages; NULL when it must be copied. */
static void *resize_without_copy(struct segment *segment, void *pointer, size_t size) {
    if (segment->kind < PAGED_KINDS)
        return NULL;
    enum large_rule rule = page_of(segment, pointer)->size_class;
    if (rule != LARGE_CALLER && rule != large_rule(size))
        return NULL;
    if (segment->kind == SEGMENT_SPAN && size > CLASS_SIZE_MAX && size <= na.span_size_max)
        return span_resize(segment, pointer, size) ? pointer : NULL;
    if (segment->kind == SEGMENT_HUGE && size > na.span_size_max)
        return huge_resize(segment, pointer, size);
    return NULL;
}

static void *na_realloc(void *pointer, size_t size) {
    if (pointer == NULL)
        return na_malloc(size);
    if (size == 0) {
        na_free(pointer);
        return NULL;
    }
    if (unlikely(size > PTRDIFF_MAX))
        return no_memory();
    struct segment *segment = find_segment(pointer);
    if (unlikely(segment == NULL))
        die_of_misuse("realloc of a pointer this library did not allocate:", pointer);
    size_t old_size = block_bytes(segment, pointer);
    /* Stays when it fits and wastes no more than half, or could not be smaller. Spans and mappings
     * trim what they can. */
    if (segment->kind < PAGED_KINDS && size <= old_size &&
        (size >= old_size / 2 || old_size == BLOCK_ALIGNMENT))
        return pointer;
    void *resized = resize_without_copy(segment, pointer, size);
    return resized != NULL ? resized : resize_by_copy(segment, pointer, old_size, size);
}

/* Gives memory back to the kernel. Returns the bytes given back. */
static size_t na_trim(void) {
    if (tls.heap != &empty_heap) {
        thread_post_mail(tls.heap->thread);
        thread_collect(tls.heap->thread, UINT_MAX);
    }
    threads_collect_orphans(UINT_MAX);
    size_t purged_bytes = 0;
    for (unsigned i = 0; i < na.pool_count; i++)
        purged_bytes += pool_purge_all(&na.pools[i]);
    return purged_bytes;
}
