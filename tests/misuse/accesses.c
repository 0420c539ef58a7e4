/* Writes and reads where the program has no block, or has one no more. A write that harms nothing,
 * because it met only padding, is safe. */
#include "misuse.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGE = 0xa5, SECRET = 0x77 };

/* Frees it, then allocates: where a write into what is not the block's own may be found. */
static enum verdict judge_after_free(unsigned char *block, size_t size_bytes) {
    bool whole = bystanders_whole();
    free(block);
    return whole && heap_sound(size_bytes) ? SAFE : MISSED;
}

/* Blocks before and after it in memory, as far as the allocator lays them so. */
static unsigned char *block_among_others(size_t size_bytes) {
    bystanders_make(size_bytes);
    unsigned char *block = written(size_bytes);
    /* Write to all that malloc_usable_size grants, or checks beyond it would not be asked for. */
    size_t usable_bytes = malloc_usable_size(block);
    memset(block, SECRET, usable_bytes);
    return block;
}

/* --- past the end, before the start ---------------------------------------------------------- */

static enum verdict write_past_end(const struct kind *kind) {
    unsigned char *block = block_among_others(kind->size_bytes);
    volatile unsigned char *end = hide(block + malloc_usable_size(block));
    for (size_t i = 0; i < kind->amount; i++)
        end[i] ^= CHANGE;
    return judge_after_free(block, kind->size_bytes);
}

/* The byte after those asked for, in a size that allocators round up. */
static enum verdict write_past_request(const struct kind *kind) {
    bystanders_make(kind->size_bytes);
    unsigned char *block = written(kind->size_bytes);
    volatile unsigned char *end = hide(block + kind->size_bytes);
    for (size_t i = 0; i < kind->amount; i++)
        end[i] ^= CHANGE;
    return judge_after_free(block, kind->size_bytes);
}

static enum verdict write_before_start(const struct kind *kind) {
    unsigned char *block = block_among_others(kind->size_bytes);
    volatile unsigned char *start = hide(block);
    for (size_t i = 1; i <= kind->amount; i++)
        *(start - i) ^= CHANGE;
    return judge_after_free(block, kind->size_bytes);
}

static int by_address(const void *left, const void *right) {
    uintptr_t a = (uintptr_t) * (unsigned char *const *)left;
    uintptr_t b = (uintptr_t) * (unsigned char *const *)right;
    return a < b ? -1 : a > b;
}

/* memset from a block up to and into the next one in memory. */
static enum verdict overflow_into_next(const struct kind *kind) {
    unsigned char *blocks[64];
    size_t count = kind->size_bytes >= HUGE ? 3 : 64;
    for (size_t i = 0; i < count; i++)
        blocks[i] = written(kind->size_bytes);
    qsort(blocks, count, sizeof *blocks, by_address);
    size_t at = count / 2;
    unsigned char *next = blocks[at + 1];
    memset(hide(blocks[at]), CHANGE, (size_t)(next - blocks[at]) + 1);
    bool hit = *(volatile unsigned char *)next == CHANGE;
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    return hit || !heap_sound(kind->size_bytes) ? MISSED : SAFE;
}

/* --- after free ------------------------------------------------------------------------------ */

/* Was the changed byte handed out again without a word? */
static enum verdict write_after_free(const struct kind *kind) {
    static unsigned char *fresh[40000];
    bystanders_make(kind->size_bytes);
    unsigned char *block = written(kind->size_bytes);
    free(block);
    volatile unsigned char *stale = hide(block + kind->amount);
    *stale ^= CHANGE;
    bool again = false;
    for (size_t i = 0; i < churn_count(kind->size_bytes); i++) {
        fresh[i] = malloc(hide_size(kind->size_bytes));
        again = again || (block + kind->amount >= fresh[i] &&
                          block + kind->amount < fresh[i] + kind->size_bytes);
    }
    for (size_t i = 0; i < churn_count(kind->size_bytes); i++)
        free(fresh[i]);
    return again || !bystanders_whole() ? MISSED : SAFE;
}

/* The program writes into the block that another part of it has since been given. */
static enum verdict write_after_reuse(const struct kind *kind) {
    unsigned char *stale = written(kind->size_bytes);
    free(stale);
    unsigned char *owner = written(kind->size_bytes);
    *(volatile unsigned char *)hide(stale + kind->amount) ^= CHANGE;
    unsigned char expected = 0x5a;
    return owner[kind->amount] == expected ? SAFE : MISSED;
}

/* An address of the attacker's where a free list may keep its own. */
static enum verdict corrupt_free_list(const struct kind *kind) {
    static _Alignas(64) uint64_t target[256];
    unsigned char *first = written(kind->size_bytes), *second = written(kind->size_bytes);
    free(first);
    free(second);
    volatile uintptr_t *words = hide(second);
    words[0] = (uintptr_t)target;
    for (size_t i = 0; i < churn_count(kind->size_bytes); i++) {
        unsigned char *block = malloc(hide_size(kind->size_bytes));
        if (block == NULL ||
            (block >= (unsigned char *)target && block < (unsigned char *)target + sizeof target))
            return MISSED;
        memset(block, 0, kind->size_bytes);
    }
    return SAFE;
}

static bool has_run_of_secret(const volatile unsigned char *bytes, size_t size_bytes) {
    size_t run = 0;
    for (size_t at = 0; at < size_bytes; at++) {
        run = bytes[at] == SECRET ? run + 1 : 0;
        if (run == 16)
            return true;
    }
    return false;
}

static enum verdict read_after_free(const struct kind *kind) {
    unsigned char *block = written(kind->size_bytes);
    memset(block, SECRET, kind->size_bytes);
    free(block);
    return has_run_of_secret(hide(block), kind->size_bytes) ? MISSED : SAFE;
}

/* --- what a new block holds ------------------------------------------------------------------ */

static void leave_secrets(size_t size_bytes) {
    static unsigned char *blocks[64];
    size_t count = size_bytes >= HUGE ? 2 : 64;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = written(size_bytes);
        memset(blocks[i], SECRET, size_bytes);
    }
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

static enum verdict read_uninitialised(const struct kind *kind) {
    leave_secrets(kind->size_bytes);
    for (size_t i = 0; i < (kind->size_bytes >= HUGE ? 2 : 64); i++)
        if (has_run_of_secret(malloc(hide_size(kind->size_bytes)), kind->size_bytes))
            return MISSED;
    return SAFE;
}

static enum verdict calloc_after_dirty(const struct kind *kind) {
    leave_secrets(kind->size_bytes);
    for (size_t i = 0; i < (kind->size_bytes >= HUGE ? 2 : 64); i++) {
        unsigned char *block = calloc(1, hide_size(kind->size_bytes));
        for (size_t at = 0; at < kind->size_bytes; at++)
            if (block[at] != 0)
                return MISSED;
    }
    return SAFE;
}

const struct kind writes[] = {
    {"past-end-small-1-byte", write_past_end, SMALL, 1},
    {"past-end-small-8-bytes", write_past_end, SMALL, 8},
    {"past-end-small-1-page", write_past_end, SMALL, PAGE_BYTES},
    {"past-end-medium-1-byte", write_past_end, MEDIUM, 1},
    {"past-end-medium-8-bytes", write_past_end, MEDIUM, 8},
    {"past-end-medium-1-page", write_past_end, MEDIUM, PAGE_BYTES},
    {"past-end-large-1-byte", write_past_end, LARGE, 1},
    {"past-end-large-8-bytes", write_past_end, LARGE, 8},
    {"past-end-large-1-page", write_past_end, LARGE, PAGE_BYTES},
    {"past-end-huge-1-byte", write_past_end, HUGE, 1},
    {"past-end-huge-8-bytes", write_past_end, HUGE, 8},
    {"past-end-huge-1-page", write_past_end, HUGE, PAGE_BYTES},
    {"past-request-small-1-byte", write_past_request, SMALL - 7, 1},
    {"past-request-large-1-byte", write_past_request, LARGE - 7, 1},
    {"before-start-small-1-byte", write_before_start, SMALL, 1},
    {"before-start-small-8-bytes", write_before_start, SMALL, 8},
    {"before-start-medium-8-bytes", write_before_start, MEDIUM, 8},
    {"before-start-large-8-bytes", write_before_start, LARGE, 8},
    {"before-start-huge-8-bytes", write_before_start, HUGE, 8},
    {"overflow-into-next-small", overflow_into_next, SMALL, 0},
    {"overflow-into-next-medium", overflow_into_next, MEDIUM, 0},
    {"overflow-into-next-large", overflow_into_next, LARGE, 0},
    {"overflow-into-next-huge", overflow_into_next, HUGE, 0},
    {"write-after-free-small", write_after_free, SMALL, 24},
    {"write-after-free-medium", write_after_free, MEDIUM, 6 * KIB},
    {"write-after-free-large", write_after_free, LARGE, 512 * KIB},
    {"write-after-free-huge", write_after_free, HUGE, 32 * MIB},
    {"write-after-reuse-small", write_after_reuse, SMALL, 24},
    {"write-after-reuse-large", write_after_reuse, LARGE, 512 * KIB},
    {"corrupt-free-list", corrupt_free_list, SMALL, 0},
    {NULL, NULL, 0, 0},
};

const struct kind reads[] = {
    {"read-after-free-small", read_after_free, SMALL, 0},
    {"read-after-free-medium", read_after_free, MEDIUM, 0},
    {"read-after-free-large", read_after_free, LARGE, 0},
    {"read-after-free-huge", read_after_free, HUGE, 0},
    {"uninitialised-small", read_uninitialised, SMALL, 0},
    {"uninitialised-large", read_uninitialised, LARGE, 0},
    {"calloc-after-dirty-small", calloc_after_dirty, SMALL, 0},
    {"calloc-after-dirty-large", calloc_after_dirty, LARGE, 0},
    {"calloc-after-dirty-huge", calloc_after_dirty, HUGE, 0},
    {NULL, NULL, 0, 0},
};
