/* malloc and its kin with NUMA_ALLOC_CHECKS=on: the same pages, spans and mappings, but every block
 * is looked up, judged and marked. What was misused ends the program with one line. */
#pragma once

#include "core.c"

/* --- what a pointer is --------------------------------------------------------------------- */

/* A live block, as its record has it. */
struct checked_block {
    struct segment *segment;
    struct page *page;
    _Atomic(uint64_t) *record;
    uint64_t known;     /* the record */
    size_t block_bytes; /* of its class; of a span or huge block: asked for */
    size_t size_bytes;  /* asked for */
};

/* A huge block that holds an address, which the table knows by its start alone. */
static struct segment *huge_around(const void *pointer) {
    struct segment *head = atomic_load_explicit(&huge.all, memory_order_acquire);
    while (head != NULL && (uintptr_t)pointer - head->base >= head->huge_bytes)
        head = head->next_all;
    return head;
}

/* `call` was given an address inside a block, or in what lies between blocks. */
__attribute__((noreturn)) static slow_path void die_of_inner(const char *call, const void *pointer,
                                                             uintptr_t start, size_t size_bytes,
                                                             uint64_t record) {
    struct message message;
    char what[64];
    struct text text = {what, 0, sizeof what - 1};
    text_add(&text, call);
    text_add(&text, " of a pointer into a block");
    what[text.length] = '\0';
    misuse_begin(&message, what, pointer);
    text_add(&message.text, ", ");
    text_add_unsigned(&message.text, (uintptr_t)pointer - start);
    text_add(&message.text, " bytes into a block of ");
    text_add_unsigned(&message.text, size_bytes);
    text_add(&message.text, " bytes ");
    text_add(&message.text, (record & RECORD_LIVE) != 0 ? "allocated by " : "freed by ");
    text_add_code(&message.text, record_code(record));
    misuse_end(&message);
}

/* `call` was given what no allocating function returned. */
__attribute__((noreturn)) static slow_path void die_of_foreign(const char *call,
                                                               const void *pointer) {
    struct message message;
    struct segment *head = huge_around(pointer);
    if (head != NULL)
        die_of_inner(call, pointer, head->base, record_load(&head->records[1]) & ~LARGE_GUARDED,
                     record_load(head->records));
    message_begin(&message);
    text_add(&message.text, call);
    text_add(&message.text, " of a pointer to no block: ");
    text_add_hex(&message.text, (uintptr_t)pointer);
    text_add(&message.text, ", ");
    struct segment *segment = segment_of_any(pointer);
    if (segment != NULL && segment_holds(segment, pointer))
        text_add(&message.text, "in memory of this library where no block is, or no longer");
    else
        text_add_whereabouts(&message.text, pointer);
    misuse_end(&message);
}

/* `call` was given a block that is free. */
__attribute__((noreturn)) static slow_path void die_of_freed(const char *call, const void *pointer,
                                                             size_t size_bytes, uint64_t record) {
    char what[64];
    struct text text = {what, 0, sizeof what - 1};
    text_add(&text, call);
    text_add(&text,
             strcmp(call, "free") == 0 ? " of a freed block (double free)" : " of a freed block");
    what[text.length] = '\0';
    die_of_block(what, pointer, size_bytes, record);
}

/* The block of a page that `pointer` is; `call` is what the line names. */
static inline struct checked_block find_paged(const char *call, struct segment *segment,
                                              const void *pointer) {
    size_t index = page_index(segment, pointer);
    struct page *page = page_at(segment, index);
    if (unlikely(segment->heaps[index] == NULL))
        die_of_foreign(call, pointer);
    size_t block_bytes = page->block_size, number = block_number(page, pointer);
    uintptr_t start = (uintptr_t)page_start(page) + number * block_bytes;
    /* Which its owner may be raising: for a live block it was high enough before. */
    if (unlikely(number >= __atomic_load_n(&page->capacity, __ATOMIC_RELAXED)))
        die_of_foreign(call, pointer);
    _Atomic(uint64_t) *record = record_at(segment, page, number);
    uint64_t known = record_load(record);
    if (unlikely(known == 0))
        die_of_foreign(call, pointer);
    size_t size_bytes = block_bytes - record_slack(known);
    if (unlikely(start != (uintptr_t)pointer))
        die_of_inner(call, pointer, start, size_bytes, known);
    if (unlikely((known & RECORD_LIVE) == 0))
        die_of_freed(call, pointer, size_bytes, known);
    return (struct checked_block){segment, page, record, known, block_bytes, size_bytes};
}

/* Whether a span begins at a slice, and is not being freed. A segment without any that has not been
 * used anew may have been pages', whose lengths are still there. */
static bool span_is_live(const struct segment *segment, unsigned slice) {
    return segment->kind == SEGMENT_SPAN && segment->pages[slice].block_size != 0 &&
           !slice_states(segment)[slice].freed_span;
}

/* Where the span began that a slice is part of, or was last. */
static unsigned span_start_before(struct segment *segment, unsigned slice) {
    const struct slice_state *states = slice_states(segment);
    while (slice > 0 && !states[slice].freed_span && !span_is_live(segment, slice))
        slice--;
    return slice;
}

/* The span that `pointer` is. */
static struct checked_block find_span(const char *call, struct segment *segment,
                                      const void *pointer) {
    unsigned first = span_start_before(segment, slice_of(segment, pointer));
    uintptr_t start = segment->base + first * SLICE_SIZE;
    struct page *page = &segment->pages[first];
    _Atomic(uint64_t) *records = large_records(segment, (void *)start);
    uint64_t known = record_load(records);
    size_t size_bytes = record_load(records + 1) & ~LARGE_GUARDED;
    bool is_live = span_is_live(segment, first);
    if (!is_live && !slice_states(segment)[first].freed_span)
        die_of_foreign(call, pointer);
    if ((uintptr_t)pointer - start >= (is_live ? page->block_size : size_bytes))
        die_of_foreign(call, pointer);
    if (start != (uintptr_t)pointer)
        die_of_inner(call, pointer, start, size_bytes, known);
    if (!is_live)
        die_of_freed(call, pointer, size_bytes, known);
    return (struct checked_block){segment, page, records, known, size_bytes, size_bytes};
}

/* The huge block that `pointer` is. */
static struct checked_block find_huge(const char *call, struct segment *segment,
                                      const void *pointer) {
    uint64_t known = record_load(segment->records);
    size_t size_bytes = record_load(segment->records + 1) & ~LARGE_GUARDED;
    if (segment->base != (uintptr_t)pointer)
        die_of_inner(call, pointer, segment->base, size_bytes, known);
    return (struct checked_block){segment, &segment->pages[0], segment->records,
                                  known,   size_bytes,         size_bytes};
}

static struct checked_block find_checked(const char *call, const void *pointer) {
    struct segment *segment = segment_of_any(pointer);
    if (segment == NULL || !segment_holds(segment, pointer))
        die_of_foreign(call, pointer);
    if (segment->kind < PAGED_KINDS)
        return find_paged(call, segment, pointer);
    return segment->kind == SEGMENT_HUGE ? find_huge(call, segment, pointer)
                                         : find_span(call, segment, pointer);
}

/* --- spans and huge blocks ----------------------------------------------------------------- */

/* Behind the bytes asked for comes a canary up to the end of their last kernel page, if they do not
 * fill it; then a guard, or, where none can be had, a page of which only the canary is used. */
#define LARGE_CANARY_BYTES 16

static size_t large_guard_offset(size_t size_bytes) {
    return align_up(size_bytes == 0 ? 1 : size_bytes,
                    na.guard_bytes != 0 ? na.guard_bytes : sys_page_bytes());
}

static size_t checked_large_bytes(size_t size_bytes) {
    size_t guard = large_guard_offset(size_bytes);
    return guard + (na.guard_bytes != 0 ? na.guard_bytes : LARGE_CANARY_BYTES);
}

/* The canary's bytes: as many as lie before the guard. */
static size_t large_canary_bytes(size_t size_bytes, bool guarded) {
    size_t room = large_guard_offset(size_bytes) - size_bytes;
    return guarded && room < LARGE_CANARY_BYTES ? room : LARGE_CANARY_BYTES;
}

/* Puts the guard behind a block, up to where its memory ends, or lifts it (`put` false). Returns
 * whether that was done. */
static bool large_guard(struct segment *segment, uintptr_t start, size_t size_bytes, bool put) {
    if (na.guard_kind == GUARDS_NONE || segment->reserved_pages)
        return false;
    uintptr_t guard = start + large_guard_offset(size_bytes), end;
    bool done;
    if (segment->kind == SEGMENT_HUGE) {
        end = segment->base + segment->huge_bytes;
        done = put ? guard_put(guard, end - guard) : guard_lift(guard, end - guard);
    } else {
        unsigned first = slice_of(segment, (void *)start);
        unsigned last = first + span_slices(segment->pages[first].block_size) - 1;
        end = segment->base + (last + 1) * SLICE_SIZE;
        done = slice_guard(segment, last, put ? (end - guard) / na.guard_bytes : 0);
    }
    if (done && !put && pool_is_touched(segment->pool))
        pool_touch(segment->pool, guard, end - guard);
    return done;
}

/* Whether the guard of a span that was here before, which the kernel would not lift, lies within
 * the block. */
static bool large_is_blocked(struct segment *segment, uintptr_t start, size_t size_bytes) {
    if (segment->kind != SEGMENT_SPAN)
        return false;
    unsigned first = slice_of(segment, (void *)start);
    unsigned last = first + span_slices(segment->pages[first].block_size) - 1;
    size_t guard_bytes = slice_states(segment)[last].guard_pages * na.guard_bytes;
    uintptr_t end = segment->base + (last + 1) * SLICE_SIZE;
    return end - guard_bytes < start + large_guard_offset(size_bytes);
}

/* Marks a span or huge block as live. False: it cannot be used. */
static bool checked_large_begin(void *block, size_t size_bytes, const void *caller) {
    struct segment *segment = segment_of(block);
    _Atomic(uint64_t) *records = large_records(segment, block);
    bool guarded = large_guard(segment, (uintptr_t)block, size_bytes, true);
    if (unlikely(!guarded && large_is_blocked(segment, (uintptr_t)block, size_bytes)))
        return false;
    memset((char *)block + size_bytes, (int)(canary_word(block) & 0xff),
           large_canary_bytes(size_bytes, guarded));
    record_store(records, record_of_live(0, caller));
    record_store(records + 1, size_bytes | (guarded ? LARGE_GUARDED : 0));
    return true;
}

static bool large_canary_is_whole(const struct checked_block *found, const void *block) {
    bool guarded = (record_load(found->record + 1) & LARGE_GUARDED) != 0;
    const char *canary = (const char *)block + found->size_bytes;
    char wanted = (char)canary_word(block), differences = 0;
    for (size_t i = large_canary_bytes(found->size_bytes, guarded); i-- > 0;)
        differences |= (char)(canary[i] ^ wanted);
    return differences == 0;
}

/* Ends the program when something was written behind the bytes asked for. */
static inline void checked_canary(const struct checked_block *found, const void *block) {
    bool whole = found->segment->kind < PAGED_KINDS
                     ? canary_is_whole(block, (const char *)block + found->block_bytes,
                                       found->block_bytes - found->size_bytes)
                     : large_canary_is_whole(found, block);
    if (unlikely(!whole))
        die_of_block("written past its end", block, found->size_bytes, found->known);
}

/* Grows or shrinks a span or huge block where it stands, or moves its pages. NULL: it must be
 * copied, and nothing has changed. */
static void *checked_large_resize(struct checked_block *found, void *block, size_t size_bytes,
                                  const void *caller) {
    struct segment *segment = found->segment;
    size_t bytes = checked_large_bytes(size_bytes);
    bool guarded = (record_load(found->record + 1) & LARGE_GUARDED) != 0;
    /* The guard's slice becomes part of the block, or the mapping must be whole to be moved. */
    if (guarded && !large_guard(segment, (uintptr_t)block, found->size_bytes, false))
        return NULL;
    void *resized = resize_without_copy(segment, block, size_bytes, bytes);
    /* No guard of an earlier span is there: growing lifts those of the slices it takes. */
    if (resized == NULL)
        (void)checked_large_begin(block, found->size_bytes, (void *)record_code(found->known));
    else
        (void)checked_large_begin(resized, size_bytes, caller);
    return resized;
}

/* --- allocate ------------------------------------------------------------------------------ */

/* A class for blocks that have at least one byte more than was asked for; SIZE_CLASSES: none. Slack
 * must fit its record. */
static unsigned checked_class(size_t alignment, size_t size) {
    if (unlikely(size >= CLASS_SIZE_MAX || alignment >= CLASS_SIZE_MAX))
        return SIZE_CLASSES;
    return alignment <= BLOCK_ALIGNMENT ? size_class_of(size + 1)
                                        : size_class_aligned(size + 1, alignment);
}

/* Takes the first free block of a page, which has one. */
static inline void *checked_pop(struct page *page, size_t size, const void *caller) {
    struct block *block = page->free;
    size_t block_bytes = page->block_size;
    _Atomic(uint64_t) *record = record_at(segment_of(block), page, block_number(page, block));
    page->free = block_next(block);
    page->used++;
    uint64_t known = record_load(record);
    size_t poison_end = known == 0 ? fresh_poison_end(block_bytes) : block_bytes;
    if (unlikely((known & RECORD_LIVE) != 0 || !poison_is_whole(block, sizeof *block, poison_end)))
        die_of_late_write(block);
    record_store(record, record_of_live(block_bytes - size, caller));
    canary_put(block, (char *)block + block_bytes, block_bytes - size);
    return block;
}

static void *checked_allocate(size_t alignment, size_t size, const void *caller) {
    unsigned size_class = checked_class(alignment, size);
    bool zeroed = false;
    if (unlikely(size_class == SIZE_CLASSES))
        return allocate_large(NULL, size, alignment, &zeroed, caller);
    struct heap *heap = tls.own;
    if (unlikely(heap == &empty_heap) && (heap = thread_attach()) == NULL)
        return no_memory();
    struct page *page = heap->bins[size_class].first;
    if (unlikely(page == NULL || page->free == NULL)) {
        if (na.follows_node)
            heap = thread_follow_node(heap);
        page = heap_refill(heap, size_class);
    }
    void *block = likely(page != NULL) ? checked_pop(page, size, caller) : no_memory();
    if (unlikely(tls.ended))
        thread_detach();
    return block;
}

/* On a node by name. */
static void *checked_allocate_on(unsigned node_index, size_t alignment, size_t size,
                                 const void *caller) {
    unsigned size_class = checked_class(alignment, size);
    bool zeroed = false;
    if (size_class == SIZE_CLASSES)
        return allocate_large(&na.pools[node_index], size, alignment, &zeroed, caller);
    struct heap *heap = tls.own == &empty_heap ? thread_attach() : tls.own;
    heap = heap != NULL ? thread_heap(heap->thread, node_index) : NULL;
    struct page *page = heap != NULL ? heap->bins[size_class].first : NULL;
    if (heap != NULL && (page == NULL || page->free == NULL))
        page = heap_refill(heap, size_class);
    void *block = page != NULL ? checked_pop(page, size, caller) : no_memory();
    if (tls.ended)
        thread_detach();
    return block;
}

/* --- free ---------------------------------------------------------------------------------- */

__attribute__((noreturn)) static slow_path void die_of_size(const struct checked_block *found,
                                                            const void *pointer, size_t size) {
    char what[64];
    struct text text = {what, 0, sizeof what - 1};
    text_add(&text, "freed as a block of ");
    text_add_unsigned(&text, size);
    text_add(&text, " bytes");
    what[text.length] = '\0';
    die_of_block(what, pointer, found->size_bytes, found->known);
}

/* What is at no multiple of `alignment` was not allocated with it. */
static void checked_alignment(const void *pointer, size_t alignment) {
    if (likely(((uintptr_t)pointer & (alignment - 1)) == 0))
        return;
    struct checked_block found = find_checked("free_aligned_sized", pointer);
    char what[64];
    struct text text = {what, 0, sizeof what - 1};
    text_add(&text, "freed as aligned to ");
    text_add_unsigned(&text, alignment);
    text_add(&text, " bytes");
    what[text.length] = '\0';
    die_of_block(what, pointer, found.size_bytes, found.known);
}

static void checked_free_large(struct checked_block *found, void *pointer, const void *caller) {
    struct segment *segment = found->segment;
    /* Not the size: who frees the block a second time shall be told it. */
    uint64_t freed = record_of_free(found->known, caller);
    if ((atomic_exchange_explicit(found->record, freed, memory_order_relaxed) & RECORD_LIVE) == 0)
        die_of_freed("free", pointer, found->size_bytes, freed);
    if (segment->kind == SEGMENT_HUGE) {
        huge_free(segment, pointer);
        return;
    }
    span_poison(segment, slice_of(segment, pointer), found->size_bytes);
    span_free(segment, pointer);
}

/* A live block of a page goes home. */
static inline void checked_free_paged(struct checked_block *found, void *pointer,
                                      const void *caller) {
    struct page *page = found->page;
    uint64_t freed = record_of_free(found->known, caller);
    poison_put(pointer, sizeof(struct block), found->block_bytes);
    if (likely(page->heap->thread == tls.own->thread)) {
        record_store(found->record, freed);
        page_take_back(page, pointer);
        return;
    }
    /* Another thread may be freeing the same block. */
    if ((atomic_exchange_explicit(found->record, freed, memory_order_relaxed) & RECORD_LIVE) == 0)
        die_of_freed("free", pointer, found->size_bytes, freed);
    free_for_other(found->segment, page_index(found->segment, pointer), page->heap, pointer);
}

/* What is not a block of a page, perhaps none at all. */
static slow_path void checked_free_unpaged(void *pointer, size_t size, const void *caller) {
    if (pointer == NULL)
        return;
    struct checked_block found = find_checked("free", pointer);
    if (size != SIZE_UNKNOWN && size != found.size_bytes)
        die_of_size(&found, pointer, size);
    checked_canary(&found, pointer);
    checked_free_large(&found, pointer, caller);
}

/* `segment`: what the table has for the pointer; `size`: as the caller has it, or SIZE_UNKNOWN. */
static void checked_free(struct segment *segment, void *pointer, size_t size, const void *caller) {
    if (unlikely(segment == NULL || segment->kind >= PAGED_KINDS)) {
        checked_free_unpaged(pointer, size, caller);
        return;
    }
    struct checked_block found = find_paged("free", segment, pointer);
    if (unlikely(size != SIZE_UNKNOWN && size != found.size_bytes))
        die_of_size(&found, pointer, size);
    checked_canary(&found, pointer);
    checked_free_paged(&found, pointer, caller);
}

/* --- resize -------------------------------------------------------------------------------- */

static size_t checked_usable_size(const void *pointer) {
    return find_checked("malloc_usable_size", pointer).size_bytes;
}

/* A block of a page that may stay where it is: NULL where that cannot hold `size` bytes, or would
 * be more than twice as long. */
static void *checked_resize_paged(struct checked_block *found, void *pointer, size_t size,
                                  const void *caller) {
    char *end = (char *)pointer + found->block_bytes;
    if (size >= found->block_bytes ||
        (size < found->block_bytes / 2 && found->block_bytes > BLOCK_ALIGNMENT))
        return NULL;
    record_store(found->record, record_of_live(found->block_bytes - size, caller));
    canary_put(pointer, end, found->block_bytes - size);
    return pointer;
}

/* `pointer` is not NULL, and `size` between 1 and PTRDIFF_MAX. */
static void *checked_realloc(void *pointer, size_t size, const void *caller) {
    struct checked_block found = find_checked("realloc", pointer);
    bool paged = found.segment->kind < PAGED_KINDS;
    checked_canary(&found, pointer);
    void *resized = paged ? checked_resize_paged(&found, pointer, size, caller)
                          : checked_large_resize(&found, pointer, size, caller);
    if (resized != NULL)
        return resized;
    int saved_errno = errno;
    unsigned node_index = (unsigned)(found.segment->pool - na.pools);
    resized = unlikely(placed_by_caller(found.segment, pointer))
                  ? checked_allocate_on(node_index, 1, size, caller)
                  : checked_allocate(1, size, caller);
    if (resized == NULL) { /* a block that shrinks stays where it is */
        if (size <= found.size_bytes)
            errno = saved_errno;
        return size <= found.size_bytes ? pointer : NULL;
    }
    memcpy(resized, pointer, found.size_bytes < size ? found.size_bytes : size);
    checked_free(found.segment, pointer, SIZE_UNKNOWN, caller);
    return resized;
}
