/* The names programs call: glibc's malloc interface, with glibc's rules for errno, sizes and
 * alignment (glibc manual, 3.2.3 "Unconstrained Allocation", and malloc(3), posix_memalign(3)). */
#pragma once

#include "memcheck.c"
#include "stats_json.c"

#include <malloc.h>
#include <stdio.h>

#define exported __attribute__((visibility("default"), used))

exported void *malloc(size_t size) {
    return na_malloc(size);
}

exported void free(void *pointer) {
    na_free(pointer);
}

exported void cfree(void *pointer);
exported void cfree(void *pointer) {
    na_free(pointer);
}

exported void *calloc(size_t count, size_t size) {
    return na_calloc(count, size);
}

exported void *realloc(void *pointer, size_t size) {
    return na_realloc(pointer, size);
}

exported void *reallocarray(void *pointer, size_t count, size_t size) {
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? no_memory() : na_realloc(pointer, bytes);
}

/* --- alignment ----------------------------------------------------------------------------- */

/* Like glibc, rounds an alignment that is no power of two up to one. */
exported void *memalign(size_t alignment, size_t size) {
    if (alignment > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (!is_power_of_two(alignment))
        alignment = alignment == 0 ? BLOCK_ALIGNMENT : (size_t)2 << floor_log2(alignment);
    return na_aligned(alignment, size);
}

/* As C17 and glibc 2.38 have it: any size, but only powers of two. */
exported void *aligned_alloc(size_t alignment, size_t size) {
    if (!is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return na_aligned(alignment, size);
}

/* Returns its error. Without memory it sets errno too, as glibc's does and POSIX leaves open: there
 * are programs that read it. */
exported int posix_memalign(void **result, size_t alignment, size_t size) {
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;
    void *block = na_aligned(alignment, size);
    if (unlikely(block == NULL))
        return ENOMEM;
    *result = block;
    return 0;
}

exported void *valloc(size_t size) {
    return na_aligned(sys_page_bytes(), size);
}

/* Whole pages: rounds the size up as well. */
exported void *pvalloc(size_t size) {
    size_t page_bytes = sys_page_bytes();
    if (size > PTRDIFF_MAX)
        return no_memory();
    return na_aligned(page_bytes, align_up(size == 0 ? 1 : size, page_bytes));
}

/* --- C23 ----------------------------------------------------------------------------------- */

exported void free_sized(void *pointer, size_t size);
exported void free_sized(void *pointer, size_t size) {
    na_free_sized(pointer, size);
}

exported void free_aligned_sized(void *pointer, size_t alignment, size_t size);
exported void free_aligned_sized(void *pointer, size_t alignment, size_t size) {
    na_free_aligned_sized(pointer, alignment, size);
}

/* --- questions and hints ------------------------------------------------------------------- */

exported size_t malloc_usable_size(void *pointer) {
    return na_usable_size(pointer);
}

/* Gives everything idle back to the kernel; `pad` has no meaning here. 1: something was. */
exported int malloc_trim(size_t pad) {
    (void)pad;
    return atomic_load(&na.ready) && na_trim() > 0 ? 1 : 0;
}

/* Accepts glibc's parameters, none of which has a counterpart here, and refuses unknown ones. */
exported int mallopt(int parameter, int value) {
    (void)value;
    switch (parameter) {
    case M_MXFAST:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
        return 1;
    default:
        return 0;
    }
}

exported struct mallinfo2 mallinfo2(void) {
    struct heap_stats stats;
    stats_gather(&stats);
    size_t live_bytes = stats.page_live_bytes + stats.span_bytes;
    size_t committed_bytes = stats.committed_bytes - stats.huge_bytes;
    return (struct mallinfo2){
        .arena = committed_bytes,
        .hblks = stats.huge_blocks,
        .hblkhd = stats.huge_bytes,
        .uordblks = live_bytes,
        .fordblks = committed_bytes > live_bytes ? committed_bytes - live_bytes : 0,
    };
}

/* The same in ints: what does not fit is cut off, as in glibc. */
exported struct mallinfo mallinfo(void) {
    struct mallinfo2 wide = mallinfo2();
    return (struct mallinfo){
        .arena = (int)wide.arena,
        .hblks = (int)wide.hblks,
        .hblkhd = (int)wide.hblkhd,
        .uordblks = (int)wide.uordblks,
        .fordblks = (int)wide.fordblks,
    };
}

exported void malloc_stats(void) {
    if (atomic_load(&na.ready))
        (void)stats_write(STDERR_FILENO);
}

/* glibc's XML in outline: the totals, and a row for each size class in use. */
exported int malloc_info(int options, FILE *stream) {
    if (options != 0)
        return EINVAL;
    struct heap_stats stats;
    stats_gather(&stats);
    fprintf(stream, "<malloc version=\"numa_alloc-1\">\n<sizes>\n");
    for (unsigned i = 0; i < SIZE_CLASSES; i++)
        if (stats.classes[i].pages != 0)
            fprintf(stream, "  <size to=\"%zu\" pages=\"%lu\" count=\"%lu\"/>\n",
                    size_class_bytes(i), (unsigned long)stats.classes[i].pages,
                    (unsigned long)stats.classes[i].live_blocks);
    fprintf(stream,
            "</sizes>\n<total type=\"spans\" count=\"%lu\" size=\"%lu\"/>\n"
            "<total type=\"mmap\" count=\"%lu\" size=\"%lu\"/>\n"
            "<system type=\"current\" size=\"%lu\"/>\n</malloc>\n",
            (unsigned long)stats.span_blocks, (unsigned long)stats.span_bytes,
            (unsigned long)stats.huge_blocks, (unsigned long)stats.huge_bytes,
            (unsigned long)stats.committed_bytes);
    return 0;
}
