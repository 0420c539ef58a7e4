/* Constants, helpers and checks that every part uses. */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mremap, getcpu, secure_getenv; the library also builds without -D */
#endif

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

/* Every block is aligned for any C type, as glibc promises on 64-bit machines. */
#define BLOCK_ALIGNMENT ((size_t)16)

#define CACHE_LINE ((size_t)64)

/* A slice is the unit in which segments are divided and purged; a small page is one slice. */
#define SLICE_SHIFT 16
#define SLICE_SIZE  ((size_t)1 << SLICE_SHIFT)

/* A medium page is eight slices. */
#define MEDIUM_PAGE_SHIFT (SLICE_SHIFT + 3)

/* A segment is the unit in which arenas are divided and addresses are looked up. 32 MiB keeps the
 * table that covers the whole address space at 4 Mi entries while one arena still holds many. */
#define SEGMENT_SHIFT  25
#define SEGMENT_SIZE   ((size_t)1 << SEGMENT_SHIFT)
#define SEGMENT_SLICES (SEGMENT_SIZE / SLICE_SIZE)

/* Highest user address a plain mmap returns: 47 bits on x86-64 (also with 5-level paging, where
 * more is given only to those who hint for it), 48 bits on arm64. */
#if defined(__x86_64__)
#define ADDRESS_BITS 47
#else
#define ADDRESS_BITS 48
#endif

#define NODE_IDS_MAX 1024

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
#define slow_path           __attribute__((noinline, cold))

/* On what counts without stopping anybody: its numbers may be a moment apart, which
 * ThreadSanitizer need not report. */
#define reads_unlocked __attribute__((no_sanitize_thread))

/* Between these memcheck does not report: free blocks, which no program may touch, are the
 * allocator's to read and write (memcheck.c). */
#ifdef NA_VALGRIND
#include <valgrind/memcheck.h>
#define memcheck_ignores() VALGRIND_DISABLE_ERROR_REPORTING
#define memcheck_looks()   VALGRIND_ENABLE_ERROR_REPORTING
#else
#define memcheck_ignores() ((void)0)
#define memcheck_looks()   ((void)0)
#endif

#ifdef NA_DEBUG
#define na_assert(condition) ((condition) ? (void)0 : __builtin_trap())
#else
#define na_assert(condition) ((void)0)
#endif

static inline size_t align_up(size_t value, size_t power_of_two) {
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

static inline bool is_power_of_two(size_t value) {
    return value != 0 && (value & (value - 1)) == 0;
}

/* Position of the highest set bit; value must not be 0. */
static inline unsigned floor_log2(size_t value) {
    return 63U - (unsigned)__builtin_clzl(value);
}
