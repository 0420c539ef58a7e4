/* What NUMA_ALLOC_CHECKS=on knows of each block, away from the blocks: whether it is live, how many
 * bytes were asked for, and which code allocated it or, once it is free, freed it.
 *
 * One word a block, at (index of the page's first slice) * RECORDS_A_SLICE + (number of the block
 * in its page) in its segment's records. A span or huge block has two, at its first slice: the
 * second is its size. Records stay when a block is freed, until it is handed out again. */
#pragma once

#include "marks.c"
#include "segment_table.c"

#define RECORDS_A_SLICE (SLICE_SIZE / BLOCK_ALIGNMENT)

/* A record: live, slack (what the block is longer than was asked for), place (an address in code,
 * in units of instructions' alignment). 0: never handed out. */
#define RECORD_LIVE        ((uint64_t)1)
#define RECORD_SLACK_SHIFT 1
#define RECORD_SLACK_MAX   ((size_t)UINT16_MAX)
#define RECORD_PLACE_SHIFT 17
#if defined(__aarch64__)
#define CODE_SHIFT 2
#else
#define CODE_SHIFT 0
#endif

static inline uint64_t record_place(const void *code) {
    return (uint64_t)(uintptr_t)code >> CODE_SHIFT << RECORD_PLACE_SHIFT;
}

static inline uint64_t record_of_live(size_t slack, const void *code) {
    return record_place(code) | (uint64_t)slack << RECORD_SLACK_SHIFT | RECORD_LIVE;
}

/* The record of a block that was live and is freed by `code`. */
static inline uint64_t record_of_free(uint64_t live, const void *code) {
    return record_place(code) | (live & (uint64_t)RECORD_SLACK_MAX << RECORD_SLACK_SHIFT);
}

static inline size_t record_slack(uint64_t record) {
    return record >> RECORD_SLACK_SHIFT & RECORD_SLACK_MAX;
}

static inline uintptr_t record_code(uint64_t record) {
    return record >> RECORD_PLACE_SHIFT << CODE_SHIFT;
}

/* Set in the second record of a span or huge block: a guard page follows its last kernel page. */
#define LARGE_GUARDED ((uint64_t)1 << 63)

/* What is known of each slice; after the records. */
struct slice_state {
    uint8_t guard_pages; /* so many kernel pages at its end are guards (guards.c) */
    bool freed_span;     /* a span began here and was freed; its records still tell of it */
    uint16_t span_start; /* the slice where the freed span began whose ... */
    uint16_t
        poisoned_pages; /* ... poison these kernel pages have (bit i: the i-th), unless purged */
};

/* Room for a segment's records and slices' states. Only what is used becomes resident. */
static size_t records_bytes(size_t slices) {
    return slices * (RECORDS_A_SLICE * sizeof(uint64_t) + sizeof(struct slice_state));
}

static struct slice_state *slice_states(const struct segment *segment) {
    return (struct slice_state *)(segment->records + segment->slices * RECORDS_A_SLICE);
}

/* --- finding them -------------------------------------------------------------------------- */

/* 2^40 / block size, rounded up: offset * it >> 40 is offset / block size, exactly so for offsets
 * into a page, below 2^19, and sizes up to 2^16 (the error stays under 2^35). */
#define RECIPROCAL_SHIFT 40
static uint64_t class_reciprocals[SIZE_CLASSES];

static void records_set_up(void) {
    for (unsigned i = 0; i < SIZE_CLASSES; i++)
        class_reciprocals[i] = ((UINT64_C(1) << RECIPROCAL_SHIFT) - 1) / size_class_bytes(i) + 1;
}

/* Which of its page's blocks an address is in. */
static inline size_t block_number(const struct page *page, const void *pointer) {
    size_t offset = (uintptr_t)pointer - ((uintptr_t)page->start_slice << SLICE_SHIFT);
    return offset * class_reciprocals[page->size_class] >> RECIPROCAL_SHIFT;
}

/* Of a block of a page, by its number. */
static inline _Atomic(uint64_t) *record_at(const struct segment *segment, const struct page *page,
                                           size_t number) {
    size_t slice = page->start_slice & (SEGMENT_SLICES - 1);
    return &segment->records[slice * RECORDS_A_SLICE + number];
}

/* The two of the span that starts at, or the huge block that is, `block`. */
static inline _Atomic(uint64_t) *large_records(const struct segment *segment, const void *block) {
    if (segment->kind == SEGMENT_HUGE)
        return segment->records;
    return &segment->records[((uintptr_t)block - segment->base) / BLOCK_ALIGNMENT];
}

static inline uint64_t record_load(_Atomic(uint64_t) *record) {
    return atomic_load_explicit(record, memory_order_relaxed);
}

static inline void record_store(_Atomic(uint64_t) *record, uint64_t value) {
    atomic_store_explicit(record, value, memory_order_relaxed);
}

/* --- the line that tells ------------------------------------------------------------------- */

/* "..., a block of 24 bytes allocated by /usr/bin/program+0x12a4" */
__attribute__((noreturn)) static slow_path void die_of_block(const char *what, const void *block,
                                                             size_t size_bytes, uint64_t record) {
    struct message message;
    misuse_begin(&message, what, block);
    text_add(&message.text, ", a block of ");
    text_add_unsigned(&message.text, size_bytes);
    text_add(&message.text, " bytes ");
    text_add(&message.text, (record & RECORD_LIVE) != 0 ? "allocated by " : "freed by ");
    text_add_code(&message.text, record_code(record));
    misuse_end(&message);
}

__attribute__((noreturn)) static slow_path void die_of_late_write(const void *block) {
    struct segment *segment = segment_of(block);
    struct page *page = page_of(segment, block);
    uint64_t record = record_load(record_at(segment, page, block_number(page, block)));
    const char *what = "written to after it was freed";
    if (record == 0)
        die_of_misuse("written to, though no block was handed out there yet", block);
    if ((record & RECORD_LIVE) != 0)
        what = "free list broken at a live block";
    die_of_block(what, block, page->block_size - record_slack(record), record);
}
