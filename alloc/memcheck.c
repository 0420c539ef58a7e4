/* A build for valgrind (-DNA_VALGRIND=1): tells memcheck of every block, so that it finds overruns,
 * uses after free, uninitialised values and leaks in a program that keeps this allocator:
 *
 *     LD_PRELOAD=... valgrind --soname-synonyms=somalloc=nouserintercepts ./program
 *
 * (without that option valgrind takes malloc's place). Here stand in front of the functions that
 * entry.c and its kin call others of the same names. Checks are on: blocks then know how many bytes
 * were asked for, and have one more at least, which memcheck guards. A lost block counts as
 * still reachable where a segment begins with it, as every block above 32 MiB does: the allocator
 * notes where that is. Nothing of this is in another build. */
#pragma once

#include "checks.c"

#ifdef NA_VALGRIND

/* What is behind the bytes asked for is nobody's. */
static void *memcheck_begin(void *block, size_t size, bool zeroed) {
    if (block == NULL)
        return NULL;
    VALGRIND_MALLOCLIKE_BLOCK(block, size, 0, zeroed);
    size_t bytes = block_bytes(segment_of(block), block);
    if (bytes > size)
        VALGRIND_MAKE_MEM_NOACCESS((char *)block + size, bytes - size);
    return block;
}

static void *memcheck_malloc(size_t size) {
    memcheck_ignores();
    void *block = na_malloc(size);
    memcheck_looks();
    return memcheck_begin(block, size, false);
}

static void *memcheck_calloc(size_t count, size_t size) {
    memcheck_ignores();
    void *block = na_calloc(count, size);
    memcheck_looks();
    return memcheck_begin(block, count * size, true);
}

static void *memcheck_aligned(size_t alignment, size_t size) {
    memcheck_ignores();
    void *block = na_aligned(alignment, size);
    memcheck_looks();
    return memcheck_begin(block, size, false);
}

static void *memcheck_aligned_on(unsigned node_index, size_t alignment, size_t size,
                                 const void *caller) {
    memcheck_ignores();
    void *block = na_aligned_on(node_index, alignment, size, caller);
    memcheck_looks();
    return memcheck_begin(block, size, false);
}

/* Told first: once it is free, another thread may have it. */
static void memcheck_free_sized(void *pointer, size_t size) {
    if (pointer != NULL)
        VALGRIND_FREELIKE_BLOCK(pointer, 0);
    memcheck_ignores();
    na_free_sized(pointer, size);
    memcheck_looks();
}

static void memcheck_free_aligned_sized(void *pointer, size_t alignment, size_t size) {
    if (pointer != NULL)
        VALGRIND_FREELIKE_BLOCK(pointer, 0);
    memcheck_ignores();
    na_free_aligned_sized(pointer, alignment, size);
    memcheck_looks();
}

static size_t memcheck_usable_size(const void *pointer) {
    memcheck_ignores();
    size_t bytes = na_usable_size(pointer);
    memcheck_looks();
    return bytes;
}

/* What the old block had uninitialised stays so: memcheck's notes are carried over. */
static void *memcheck_realloc(void *pointer, size_t size) {
    if (pointer == NULL)
        return memcheck_malloc(size);
    size_t kept_bytes = memcheck_usable_size(pointer);
    if (kept_bytes > size)
        kept_bytes = size;
    char *notes =
        kept_bytes != 0 ? (char *)sys_map(0, kept_bytes, PROT_READ | PROT_WRITE, 0) : NULL;
    if (notes != NULL)
        (void)VALGRIND_GET_VBITS(pointer, notes, kept_bytes);
    memcheck_ignores();
    void *block = na_realloc(pointer, size);
    memcheck_looks();
    if (block != NULL || size == 0)
        VALGRIND_FREELIKE_BLOCK(pointer, 0);
    if (memcheck_begin(block, size, false) != NULL && notes != NULL)
        (void)VALGRIND_SET_VBITS(block, notes, kept_bytes);
    if (notes != NULL)
        sys_unmap((uintptr_t)notes, kept_bytes);
    return block;
}

static size_t memcheck_trim(void) {
    memcheck_ignores();
    size_t bytes = na_trim();
    memcheck_looks();
    return bytes;
}

#define na_malloc             memcheck_malloc
#define na_calloc             memcheck_calloc
#define na_realloc            memcheck_realloc
#define na_aligned            memcheck_aligned
#define na_aligned_on         memcheck_aligned_on
#define na_free_sized         memcheck_free_sized
#define na_free(block)        memcheck_free_sized(block, SIZE_UNKNOWN)
#define na_free_aligned_sized memcheck_free_aligned_sized
#define na_usable_size        memcheck_usable_size
#define na_trim               memcheck_trim

#endif
