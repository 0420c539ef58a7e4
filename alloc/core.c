/* malloc and its kin without their names: the fast paths, and the choice between page, span and
 * mapping. Entry points are in entry.c. With checks on the fast paths never succeed, and the slow
 * ones lead to checks.c, which makes a note of where in the program the block comes from: `caller`.
 */
#pragma once

#include "span.c"
#include "thread.c"

/* Where the entry point was called from that this is inlined into; taken where a fast path has
 * failed, since the compiler would take it on every path if it were passed down. */
#define CALLER      __builtin_return_address(0)
#define entry_point static inline __attribute__((always_inline))

static void *checked_allocate(size_t alignment, size_t size, const void *caller);
static void *checked_allocate_on(unsigned node_index, size_t alignment, size_t size,
                                 const void *caller);
static void checked_free(struct segment *segment, void *pointer, size_t size, const void *caller);
static void checked_alignment(const void *pointer, size_t alignment);
static void *checked_realloc(void *pointer, size_t size, const void *caller);
static size_t checked_usable_size(const void *pointer);
static size_t checked_large_bytes(size_t size_bytes);
static bool checked_large_begin(void *block, size_t size_bytes, const void *caller);

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
static __attribute__((noinline)) void *
allocate_large(struct pool *pool, size_t size, size_t alignment, bool *zeroed, const void *caller) {
    runtime_set_up();
    if (size > PTRDIFF_MAX)
        return no_memory();
    size_t least = size == 0 ? 1 : size;
    size_t bytes = unlikely(na.config.checks) ? checked_large_bytes(least) : least;
    enum large_rule rule = pool == NULL ? large_rule(least) : LARGE_CALLER;
    if (pool == NULL)
        pool = large_pool(rule, least);
    void *block;
    if (bytes <= na.span_size_max && alignment <= na.span_size_max)
        block = span_allocate(pool, tls.own == &empty_heap ? NULL : tls.own->thread, bytes,
                              alignment, zeroed);
    else
        block = huge_allocate(pool, bytes, alignment, zeroed);
    if (block == NULL)
        return no_memory();
    page_of(segment_of(block), block)->size_class = (uint8_t)rule;
    if (unlikely(na.config.checks) && !checked_large_begin(block, size, caller)) {
        span_free(segment_of(block), block);
        return no_memory();
    }
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
static slow_path void *allocate_without_heap(unsigned size_class, size_t alignment, size_t size,
                                             const void *caller) {
    runtime_set_up();
    if (na.config.checks)
        return checked_allocate(alignment, size, caller);
    struct heap *heap = thread_attach();
    if (heap == NULL)
        return no_memory();
    void *block = heap_take(heap, size_class);
    if (tls.ended)
        thread_detach();
    return block;
}

static __attribute__((noinline)) void *allocate_class_slowly(struct heap *heap, unsigned size_class,
                                                             size_t alignment, size_t size,
                                                             const void *caller) {
    if (unlikely(heap == &empty_heap))
        return allocate_without_heap(size_class, alignment, size, caller);
    if (na.follows_node) {
        struct page *page = heap->bins[size_class].first;
        if (page == NULL || page->local_free == NULL || --heap->thread->pops_to_look == 0)
            heap = thread_follow_node(heap);
        page_take_own(heap->bins[size_class].first);
    }
    return heap_take(heap, size_class);
}

static inline void *allocate_class(struct heap *heap, unsigned size_class, size_t alignment,
                                   size_t size, const void *caller) {
    struct page *page = heap->bins[size_class].first;
    if (likely(page != NULL && page->free != NULL))
        return page_pop(page);
    return allocate_class_slowly(heap, size_class, alignment, size, caller);
}

static __attribute__((noinline)) void *allocate_beyond_direct(size_t size, const void *caller) {
    bool zeroed = false;
    if (unlikely(na.config.checks))
        return checked_allocate(1, size, caller);
    if (size <= CLASS_SIZE_MAX)
        return allocate_class(tls.heap, size_class_of(size), 1, size, caller);
    return allocate_large(NULL, size, 1, &zeroed, caller);
}

entry_point void *na_malloc(size_t size) {
    if (likely(size <= DIRECT_MAX)) {
        struct page *page = tls.heap->direct[(size + BLOCK_ALIGNMENT - 1) / BLOCK_ALIGNMENT];
        if (likely(page->free != NULL))
            return page_pop(page);
    }
    return allocate_beyond_direct(size, CALLER);
}

entry_point void *na_calloc(size_t count, size_t size) {
    size_t bytes;
    if (unlikely(__builtin_mul_overflow(count, size, &bytes)))
        return no_memory();
    bool zeroed = bytes > CLASS_SIZE_MAX;
    void *block =
        likely(!zeroed) ? na_malloc(bytes) : allocate_large(NULL, bytes, 1, &zeroed, CALLER);
    if (block != NULL && !zeroed)
        memset(block, 0, bytes);
    return block;
}

/* `alignment` must be a power of two. */
entry_point void *na_aligned(size_t alignment, size_t size) {
    if (alignment <= BLOCK_ALIGNMENT)
        return na_malloc(size);
    unsigned size_class = size_class_aligned(size, alignment);
    if (size_class < SIZE_CLASSES)
        return allocate_class(tls.heap, size_class, alignment, size, CALLER);
    bool zeroed = false;
    return allocate_large(NULL, size, alignment, &zeroed, CALLER);
}

/* --- allocate on a node by name -------------------------------------------------------------- */

/* Takes from the thread's heap of that node, and leaves alone which one malloc takes from. */
static void *allocate_class_on(unsigned node_index, unsigned size_class) {
    struct heap *heap = tls.own == &empty_heap ? thread_attach() : tls.own;
    if (heap == NULL)
        return no_memory();
    heap = thread_heap(heap->thread, node_index);
    void *block = heap != NULL ? heap_take(heap, size_class) : no_memory();
    if (tls.ended)
        thread_detach();
    return block;
}

/* `node_index`: of the pool, below na.node_count; `alignment` must be a power of two. */
static void *na_aligned_on(unsigned node_index, size_t alignment, size_t size, const void *caller) {
    if (unlikely(na.config.checks))
        return checked_allocate_on(node_index, alignment, size, caller);
    unsigned size_class = size_class_aligned(size, alignment);
    if (size_class < SIZE_CLASSES)
        return allocate_class_on(node_index, size_class);
    bool zeroed = false;
    return allocate_large(&na.pools[node_index], size, alignment, &zeroed, caller);
}

/* --- free ---------------------------------------------------------------------------------- */

/* What the caller of free need not say. */
#define SIZE_UNKNOWN SIZE_MAX

/* A pointer from another allocator (or none): it cannot be freed here, and the program may well be
 * right to pass it, so it is left alone, counted and mentioned once. */
static slow_path void free_foreign(void *pointer, const void *caller) {
    if (pointer == NULL)
        return;
    if (na.config.checks)
        checked_free(NULL, pointer, SIZE_UNKNOWN, caller);
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
    if (unlikely(tls.own == &empty_heap && !tls.ended)) {
        int saved_errno = errno;
        (void)thread_attach();
        errno = saved_errno;
    }
    struct thread *thread = tls.own->thread;
    uint64_t before = atomic_load_explicit(&thread->remote_frees, memory_order_relaxed);
    atomic_store_explicit(&thread->remote_frees, before + 1, memory_order_relaxed);
}

/* Frees a block of another thread's page, whose heap it is in. Larger ones do not wait in letters:
 * few of them are much memory. */
static inline void free_for_other(struct segment *segment, size_t index, const struct heap *heap,
                                  void *pointer) {
    count_remote_free();
    if (segment->kind != SEGMENT_SMALL || tls.own == &empty_heap ||
        !mail_send(tls.own->thread, heap->thread, pointer))
        page_free_remote(page_at(segment, index), pointer);
}

/* A free of a block of another thread's page, or of another heap of this one's. */
static void free_in_page(struct segment *segment, void *pointer) {
    size_t index = page_index(segment, pointer);
    const struct heap *heap = segment->heaps[index];
    if (unlikely(heap == NULL))
        die_of_misuse("free of an invalid pointer, or double free", pointer);
    if (heap->thread == tls.own->thread)
        page_free_own(page_at(segment, index), pointer);
    else
        free_for_other(segment, index, heap, pointer);
}

/* A free of a block that is not in a page of the heap this thread takes from. */
static __attribute__((noinline)) void free_elsewhere(struct segment *segment, void *pointer,
                                                     const void *caller) {
    if (unlikely(!segment_holds(segment, pointer))) {
        free_foreign(pointer, caller);
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

/* The way on from the fast path: here, so that neither side pays for what the other needs. */
static __attribute__((noinline)) void free_slowly(struct segment *segment, void *pointer,
                                                  size_t size, const void *caller) {
    if (unlikely(na.config.checks))
        checked_free(segment, pointer, size, caller);
    else
        free_elsewhere(segment, pointer, caller);
}

/* `size`: what the caller takes the block to be, or SIZE_UNKNOWN. */
entry_point void na_free_sized(void *pointer, size_t size) {
    struct segment *segment = segment_of(pointer);
    if (unlikely(segment == NULL)) {
        free_foreign(pointer, CALLER);
        return;
    }
    size_t index = page_index(segment, pointer);
    if (unlikely(segment->heaps[index] != tls.heap)) {
        free_slowly(segment, pointer, size, CALLER);
        return;
    }
    page_free_own(page_at(segment, index), pointer);
}

entry_point void na_free(void *pointer) {
    na_free_sized(pointer, SIZE_UNKNOWN);
}

static void na_free_aligned_sized(void *pointer, size_t alignment, size_t size) {
    if (unlikely(na.config.checks))
        checked_alignment(pointer, alignment);
    na_free_sized(pointer, size);
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
    if (unlikely(na.config.checks) && pointer != NULL)
        return checked_usable_size(pointer);
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
                      ? na_aligned_on((unsigned)(segment->pool - na.pools), 1, size, NULL)
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
 * its pages; NULL when it must be copied. `bytes`: those asked for, and with checks on what is to
 * follow them. */
static void *resize_without_copy(struct segment *segment, void *pointer, size_t size,
                                 size_t bytes) {
    if (segment->kind < PAGED_KINDS)
        return NULL;
    enum large_rule rule = page_of(segment, pointer)->size_class;
    if (rule != LARGE_CALLER && rule != large_rule(size))
        return NULL;
    if (segment->kind == SEGMENT_SPAN && size > CLASS_SIZE_MAX && bytes <= na.span_size_max)
        return span_resize(segment, pointer, bytes) ? pointer : NULL;
    if (segment->kind == SEGMENT_HUGE && bytes > na.span_size_max)
        return huge_resize(segment, pointer, bytes);
    return NULL;
}

static void *resize(void *pointer, size_t size) {
    struct segment *segment = find_segment(pointer);
    if (unlikely(segment == NULL))
        die_of_misuse("realloc of a pointer this library did not allocate", pointer);
    size_t old_size = block_bytes(segment, pointer);
    /* Stays when it fits and wastes no more than half, or could not be smaller. Spans and mappings
     * trim what they can. */
    if (segment->kind < PAGED_KINDS && size <= old_size &&
        (size >= old_size / 2 || old_size == BLOCK_ALIGNMENT))
        return pointer;
    void *resized = resize_without_copy(segment, pointer, size, size);
    return resized != NULL ? resized : resize_by_copy(segment, pointer, old_size, size);
}

entry_point void *na_realloc(void *pointer, size_t size) {
    if (pointer == NULL)
        return na_malloc(size);
    if (size == 0) {
        na_free(pointer);
        return NULL;
    }
    if (unlikely(size > PTRDIFF_MAX))
        return no_memory();
    if (unlikely(na.config.checks))
        return checked_realloc(pointer, size, CALLER);
    return resize(pointer, size);
}

/* Gives memory back to the kernel. Returns the bytes given back. */
static size_t na_trim(void) {
    if (tls.own != &empty_heap) {
        thread_post_mail(tls.own->thread);
        thread_collect(tls.own->thread, UINT_MAX);
    }
    threads_collect_orphans(UINT_MAX);
    size_t purged_bytes = 0;
    for (unsigned i = 0; i < na.pool_count; i++)
        purged_bytes += pool_purge_all(&na.pools[i]);
    unmap_refused_again();
    return purged_bytes;
}
