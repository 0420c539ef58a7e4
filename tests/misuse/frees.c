/* Blocks freed twice, pointers freed that are no blocks, and sizes told wrong. */
#include "misuse.h"

#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static enum verdict judged(size_t size_bytes) {
    return heap_sound(size_bytes) ? SAFE : MISSED;
}

/* --- twice ----------------------------------------------------------------------------------- */

static enum verdict free_twice(const struct kind *kind) {
    bystanders_make(kind->size_bytes);
    unsigned char *block = written(kind->size_bytes);
    free(block);
    free(hide(block));
    return judged(kind->size_bytes);
}

/* `amount` other blocks are freed between. */
static enum verdict free_twice_later(const struct kind *kind) {
    bystanders_make(kind->size_bytes);
    unsigned char **others = calloc(kind->amount, sizeof *others);
    for (size_t i = 0; i < kind->amount / 2; i++)
        others[i] = written(kind->size_bytes);
    unsigned char *block = written(kind->size_bytes);
    for (size_t i = kind->amount / 2; i < kind->amount; i++)
        others[i] = written(kind->size_bytes);
    free(block);
    for (size_t i = 0; i < kind->amount; i++)
        free(others[i]);
    free(hide(block));
    return judged(kind->size_bytes);
}

static void *free_it(void *block) {
    free(block);
    return NULL;
}

static void free_in_thread(void *block) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, free_it, block) != 0 || pthread_join(thread, NULL) != 0)
        abort();
}

static enum verdict free_here_then_there(const struct kind *kind) {
    bystanders_make(kind->size_bytes);
    unsigned char *block = written(kind->size_bytes);
    free(block);
    free_in_thread(hide(block));
    return judged(kind->size_bytes);
}

static enum verdict free_there_then_here(const struct kind *kind) {
    bystanders_make(kind->size_bytes);
    unsigned char *block = written(kind->size_bytes);
    free_in_thread(block);
    free(hide(block));
    return judged(kind->size_bytes);
}

static enum verdict free_in_two_threads(const struct kind *kind) {
    bystanders_make(kind->size_bytes);
    unsigned char *block = written(kind->size_bytes);
    free_in_thread(block);
    free_in_thread(hide(block));
    return judged(kind->size_bytes);
}

/* --- no block -------------------------------------------------------------------------------- */

static enum verdict free_inside(const struct kind *kind) {
    bystanders_make(kind->size_bytes);
    unsigned char *block = written(kind->size_bytes);
    free(hide(block + kind->amount));
    return judged(kind->size_bytes);
}

static enum verdict free_stack(const struct kind *kind) {
    _Alignas(64) unsigned char local[256];
    memset(local, 0, sizeof local);
    free(hide(local + 64));
    return judged(kind->size_bytes);
}

static enum verdict free_static(const struct kind *kind) {
    static _Alignas(64) unsigned char data[256] = {1};
    free(hide(data + 64));
    return judged(kind->size_bytes);
}

static enum verdict free_mapping(const struct kind *kind) {
    unsigned char *mapping =
        mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        abort();
    free(hide(mapping + kind->amount));
    return judged(kind->size_bytes);
}

/* An address by the heap's blocks that was never handed out. */
static enum verdict free_near(const struct kind *kind) {
    bystanders_make(kind->size_bytes);
    unsigned char *block = written(kind->size_bytes);
    free(hide(block + kind->amount));
    return judged(kind->size_bytes);
}

static enum verdict free_low(const struct kind *kind) {
    free(hide((void *)(uintptr_t)kind->amount));
    return judged(kind->size_bytes);
}

static enum verdict free_before_aligned(const struct kind *kind) {
    bystanders_make(kind->size_bytes);
    unsigned char *block = memalign(PAGE_BYTES, kind->size_bytes);
    memset(block, 0, kind->size_bytes);
    free(hide(block - kind->amount));
    return judged(kind->size_bytes);
}

/* --- realloc and malloc_usable_size ---------------------------------------------------------- */

static enum verdict realloc_freed(const struct kind *kind) {
    bystanders_make(kind->size_bytes);
    unsigned char *block = written(kind->size_bytes);
    free(block);
    unsigned char *moved = realloc(hide(block), hide_size(kind->size_bytes * 2));
    if (moved == NULL)
        return judged(kind->size_bytes);
    memset(moved, 1, kind->size_bytes * 2);
    /* Either moved is the freed block, grown, or the freed block was freed again. */
    return judged(kind->size_bytes);
}

static enum verdict realloc_inside(const struct kind *kind) {
    bystanders_make(kind->size_bytes);
    unsigned char *block = written(kind->size_bytes);
    unsigned char *moved = realloc(hide(block + kind->amount), hide_size(kind->size_bytes * 2));
    if (moved != NULL)
        memset(moved, 1, kind->size_bytes * 2);
    return judged(kind->size_bytes);
}

static enum verdict realloc_stack(const struct kind *kind) {
    _Alignas(64) unsigned char local[256];
    memset(local, 0, sizeof local);
    unsigned char *moved = realloc(hide(local + 64), hide_size(kind->size_bytes));
    if (moved != NULL)
        memset(moved, 1, kind->size_bytes);
    return judged(kind->size_bytes);
}

/* A size for what is no block is missed: the caller will write that many bytes. */
static enum verdict usable_freed(const struct kind *kind) {
    unsigned char *block = written(kind->size_bytes);
    free(block);
    return malloc_usable_size(hide(block)) == 0 ? SAFE : MISSED;
}

static enum verdict usable_inside(const struct kind *kind) {
    unsigned char *block = written(kind->size_bytes);
    return malloc_usable_size(hide(block + kind->amount)) == 0 ? SAFE : MISSED;
}

static enum verdict usable_stack(const struct kind *kind) {
    (void)kind;
    _Alignas(64) unsigned char local[256];
    memset(local, 0, sizeof local);
    return malloc_usable_size(hide(local + 64)) == 0 ? SAFE : MISSED;
}

/* --- wrong sizes: missed unless stopped, since nothing else tells that the caller is wrong -----
 */

/* C23's, and operator delete of C++14 and 17, by their symbols (Itanium C++ ABI). */
__attribute__((weak)) void free_sized(void *pointer, size_t size);
__attribute__((weak)) void free_aligned_sized(void *pointer, size_t alignment, size_t size);
__attribute__((weak)) void *_Znwm(size_t size);
__attribute__((weak)) void *_Znam(size_t size);
__attribute__((weak)) void _ZdlPv(void *pointer);
__attribute__((weak)) void _ZdlPvm(void *pointer, size_t size);
__attribute__((weak)) void *_ZnwmSt11align_val_t(size_t size, size_t alignment);
__attribute__((weak)) void _ZdlPvmSt11align_val_t(void *pointer, size_t size, size_t alignment);

static enum verdict free_sized_wrong(const struct kind *kind) {
    if (free_sized == NULL)
        return ABSENT;
    free_sized(written(kind->size_bytes), hide_size(kind->amount));
    return MISSED;
}

static enum verdict free_aligned_sized_wrong(const struct kind *kind) {
    if (free_aligned_sized == NULL)
        return ABSENT;
    free_aligned_sized(memalign(64, kind->size_bytes), 64, hide_size(kind->amount));
    return MISSED;
}

static enum verdict free_wrong_alignment(const struct kind *kind) {
    if (free_aligned_sized == NULL)
        return ABSENT;
    unsigned char *block = written(kind->size_bytes);
    while ((uintptr_t)block % PAGE_BYTES == 0)
        block = written(kind->size_bytes);
    free_aligned_sized(block, PAGE_BYTES, kind->size_bytes);
    return MISSED;
}

static enum verdict delete_sized_wrong(const struct kind *kind) {
    if (_Znwm == NULL || _ZdlPvm == NULL)
        return ABSENT;
    _ZdlPvm(_Znwm(hide_size(kind->size_bytes)), hide_size(kind->amount));
    return MISSED;
}

static enum verdict delete_aligned_wrong(const struct kind *kind) {
    if (_ZnwmSt11align_val_t == NULL || _ZdlPvmSt11align_val_t == NULL)
        return ABSENT;
    _ZdlPvmSt11align_val_t(_ZnwmSt11align_val_t(hide_size(kind->size_bytes), 64),
                           hide_size(kind->amount), 64);
    return MISSED;
}

static enum verdict array_new_delete(const struct kind *kind) {
    if (_Znam == NULL || _ZdlPv == NULL)
        return ABSENT;
    _ZdlPv(_Znam(hide_size(kind->size_bytes)));
    return judged(kind->size_bytes);
}

static enum verdict new_free(const struct kind *kind) {
    if (_Znwm == NULL)
        return ABSENT;
    free(_Znwm(hide_size(kind->size_bytes)));
    return judged(kind->size_bytes);
}

const struct kind frees[] = {
    {"double-free-small", free_twice, SMALL, 0},
    {"double-free-medium", free_twice, MEDIUM, 0},
    {"double-free-large", free_twice, LARGE, 0},
    {"double-free-huge", free_twice, HUGE, 0},
    {"double-free-after-1", free_twice_later, SMALL, 1},
    {"double-free-after-100", free_twice_later, SMALL, 100},
    {"double-free-after-10000", free_twice_later, SMALL, 10000},
    {"double-free-large-after-100", free_twice_later, LARGE, 100},
    {"double-free-here-then-in-thread", free_here_then_there, SMALL, 0},
    {"double-free-in-thread-then-here", free_there_then_here, SMALL, 0},
    {"double-free-in-two-threads", free_in_two_threads, SMALL, 0},
    {"double-free-large-in-two-threads", free_in_two_threads, LARGE, 0},
    {"free-inside-small", free_inside, SMALL, 16},
    {"free-inside-small-unaligned", free_inside, SMALL, 1},
    {"free-inside-medium", free_inside, MEDIUM, 4 * KIB},
    {"free-inside-large", free_inside, LARGE, 64 * KIB},
    {"free-inside-huge", free_inside, HUGE, 32 * MIB},
    {"free-stack", free_stack, SMALL, 0},
    {"free-static", free_static, SMALL, 0},
    {"free-mapping-start", free_mapping, SMALL, 0},
    {"free-mapping-inside", free_mapping, SMALL, 64 * KIB + 16},
    {"free-never-allocated-256KiB-on", free_near, SMALL, 256 * KIB},
    {"free-never-allocated-1GiB-on", free_near, SMALL, 1024 * (size_t)MIB},
    {"free-low-address", free_low, SMALL, 64},
    {"free-before-aligned", free_before_aligned, MEDIUM, 64},
    {"realloc-freed-small", realloc_freed, SMALL, 0},
    {"realloc-freed-large", realloc_freed, LARGE, 0},
    {"realloc-freed-huge", realloc_freed, HUGE, 0},
    {"realloc-inside-small", realloc_inside, SMALL, 16},
    {"realloc-inside-large", realloc_inside, LARGE, 64 * KIB},
    {"realloc-stack", realloc_stack, SMALL, 0},
    {"usable-size-freed-small", usable_freed, SMALL, 0},
    {"usable-size-freed-large", usable_freed, LARGE, 0},
    {"usable-size-inside-small", usable_inside, SMALL, 16},
    {"usable-size-inside-large", usable_inside, LARGE, 64 * KIB},
    {"usable-size-stack", usable_stack, SMALL, 0},
    {"free-sized-small-wrong", free_sized_wrong, SMALL, 2 * SMALL},
    {"free-sized-large-wrong", free_sized_wrong, LARGE, 2 * LARGE},
    {"free-aligned-sized-wrong", free_aligned_sized_wrong, 128, 64},
    {"free-aligned-wrong-alignment", free_wrong_alignment, SMALL, 0},
    {"sized-delete-small-wrong", delete_sized_wrong, SMALL, 2 * SMALL},
    {"sized-delete-large-wrong", delete_sized_wrong, LARGE, 2 * LARGE},
    {"sized-aligned-delete-wrong", delete_aligned_wrong, 128, 64},
    {"new-array-deleted-plainly", array_new_delete, SMALL, 0},
    {"new-freed", new_free, SMALL, 0},
    {NULL, NULL, 0, 0},
};
