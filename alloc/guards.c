/* Guard pages behind large blocks, with NUMA_ALLOC_CHECKS=on: what reads or writes there ends the
 * program with SIGSEGV. Where the kernel can mark them within a mapping (MADV_GUARD_INSTALL, Linux
 * 6.13) they cost page table entries alone; before it each is a mapping, of which a process may
 * have vm.max_map_count. A span's guard stays when the span is freed, and for one of the same
 * length, until its slices are handed out again. */
#pragma once

#include "records.c"

enum guard_kind {
    GUARDS_NONE,   /* huge pages were asked for, which guards would split */
    GUARDS_MARKED, /* within mappings */
    GUARDS_MAPPED, /* as mappings, out of a budget */
};

/* A guard in the middle of a mapping makes three of one. */
#define GUARD_MAPPINGS 2

/* `mappings`: as many as guards may take more of, where each takes some. */
static void guards_set_up(size_t mappings) {
    if (na.config.pages != PAGES_DEFAULT)
        return;
    na.guard_bytes = sys_page_bytes();
    na.guard_kind = sys_guard_install(0, 0) == 0 ? GUARDS_MARKED : GUARDS_MAPPED;
    atomic_store_explicit(&na.guard_mappings, (long)mappings, memory_order_relaxed);
}

/* Returns whether there is a guard now. */
static bool guard_put(uintptr_t start, size_t size_bytes) {
    if (na.guard_kind == GUARDS_MARKED)
        return sys_guard_install(start, size_bytes) == 0;
    if (na.guard_kind == GUARDS_NONE)
        return false;
    if (atomic_fetch_sub_explicit(&na.guard_mappings, GUARD_MAPPINGS, memory_order_relaxed) >=
            GUARD_MAPPINGS &&
        sys_forbid(start, size_bytes))
        return true;
    atomic_fetch_add_explicit(&na.guard_mappings, GUARD_MAPPINGS, memory_order_relaxed);
    return false;
}

/* Returns whether the range can be used now. */
static bool guard_lift(uintptr_t start, size_t size_bytes) {
    if (na.guard_kind == GUARDS_MARKED)
        return sys_guard_remove(start, size_bytes);
    if (!sys_make_usable(start, size_bytes))
        return false;
    atomic_fetch_add_explicit(&na.guard_mappings, GUARD_MAPPINGS, memory_order_relaxed);
    return true;
}

/* --- of a segment's slices ----------------------------------------------------------------- */

/* Makes the last `pages` of a slice its guard, in place of what it had. Returns whether it is. The
 * caller has the slice. */
static bool slice_guard(struct segment *segment, unsigned slice, size_t pages) {
    struct slice_state *state = &slice_states(segment)[slice];
    uintptr_t end = segment->base + (slice + 1) * SLICE_SIZE;
    size_t old_bytes = state->guard_pages * na.guard_bytes, bytes = pages * na.guard_bytes;
    if (bytes == old_bytes)
        return true;
    if (old_bytes != 0 && !guard_lift(end - old_bytes, old_bytes))
        return false;
    state->guard_pages = 0;
    if (bytes != 0 && !guard_put(end - bytes, bytes))
        return false;
    state->guard_pages = (uint8_t)pages;
    return true;
}

/* --- of a freed span ----------------------------------------------------------------------- */

/* Poisons a span that is being freed, where it is in memory: what was never used takes none now. */
static void span_poison(struct segment *segment, unsigned slice, size_t size_bytes) {
    unsigned char resident[SPAN_POISON_PAGES_MAX];
    struct slice_state *states = slice_states(segment);
    uintptr_t start = segment->base + slice * SLICE_SIZE;
    size_t page_bytes = sys_page_bytes(), slice_pages = SLICE_SIZE / page_bytes;
    size_t bytes = size_bytes < SPAN_POISON_BYTES_MAX ? size_bytes : SPAN_POISON_BYTES_MAX;
    size_t pages = (bytes + page_bytes - 1) / page_bytes;
    states[slice].freed_span = true;
    if (!sys_resident(start, pages * page_bytes, resident))
        return;
    for (size_t i = 0; i < pages; i++) {
        struct slice_state *state = &states[slice + i / slice_pages];
        if (i % slice_pages == 0) {
            state->span_start = (uint16_t)slice;
            state->poisoned_pages = 0;
        }
        if ((resident[i] & 1) == 0)
            continue;
        poison_put((void *)start, i * page_bytes, (i + 1) * page_bytes);
        state->poisoned_pages |= (uint16_t)(1U << i % slice_pages);
    }
}

/* Where the span began there may be another by now: then of what was freed no more is known. */
__attribute__((noreturn)) static slow_path void die_of_span_write(const struct segment *segment,
                                                                  unsigned slice) {
    const struct slice_state *states = slice_states(segment);
    unsigned start = states[slice].span_start;
    _Atomic(uint64_t) *records = &segment->records[start * RECORDS_A_SLICE];
    size_t size_bytes = record_load(records + 1) & ~LARGE_GUARDED;
    if (!states[start].freed_span || size_bytes <= (slice - start) * SLICE_SIZE)
        die_of_misuse("written to after it was freed",
                      (const void *)(segment->base + slice * SLICE_SIZE));
    die_of_block("written to after it was freed",
                 (const void *)(segment->base + start * SLICE_SIZE), size_bytes,
                 record_load(records));
}

/* What was freed here was not written to since: its pages are poison still, or were purged. */
static void slice_check_freed(const struct segment *segment, unsigned slice) {
    struct slice_state *state = &slice_states(segment)[slice];
    const char *memory = (const char *)segment->base + slice * SLICE_SIZE;
    size_t page_bytes = sys_page_bytes();
    for (unsigned pages = state->poisoned_pages; pages != 0; pages &= pages - 1) {
        size_t at = (unsigned)__builtin_ctz(pages) * page_bytes;
        if (!poison_is_whole(memory, at, at + page_bytes) &&
            !is_filled(memory, at, at + page_bytes, 0))
            die_of_span_write(segment, slice);
    }
    state->poisoned_pages = 0;
}

/* Makes slices ready that were just handed out; with `keeps_last` but for the guard of the last,
 * which the next span may want as it is. False: the kernel refuses, and they must not be used. */
static bool slices_make_ready(struct segment *segment, unsigned slice, unsigned count,
                              bool keeps_last) {
    struct slice_state *states = slice_states(segment);
    for (unsigned i = slice; i < slice + count; i++) {
        slice_check_freed(segment, i);
        bool keeps = keeps_last && i == slice + count - 1;
        if (states[i].guard_pages != 0 && !keeps && !slice_guard(segment, i, 0))
            return false;
    }
    for (unsigned i = slice; i < slice + count; i++)
        states[i].freed_span = false;
    return true;
}
