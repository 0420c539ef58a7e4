/* The functions under torture, called through pointers: the compiler knows nothing about them, any
 * allocator can be preloaded, and the sanitizer builds call the same ones by other names. */
#pragma once

#include "../../alloc/numa_alloc.h"

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>

/* CALL(result, name, parameters) of each. Names that begin with _Z are operator new and delete
 * (Itanium C++ ABI): nw and na, dl and da for arrays, m a size, St11align_val_t an alignment,
 * RKSt9nothrow_t std::nothrow. */
#define TORTURE_CALLS(CALL)                                                                        \
    CALL(void *, malloc, (size_t))                                                                 \
    CALL(void, free, (void *))                                                                     \
    CALL(void, cfree, (void *))                                                                    \
    CALL(void *, calloc, (size_t, size_t))                                                         \
    CALL(void *, realloc, (void *, size_t))                                                        \
    CALL(void *, reallocarray, (void *, size_t, size_t))                                           \
    CALL(void *, memalign, (size_t, size_t))                                                       \
    CALL(void *, aligned_alloc, (size_t, size_t))                                                  \
    CALL(int, posix_memalign, (void **, size_t, size_t))                                           \
    CALL(void *, valloc, (size_t))                                                                 \
    CALL(void *, pvalloc, (size_t))                                                                \
    CALL(void, free_sized, (void *, size_t))                                                       \
    CALL(void, free_aligned_sized, (void *, size_t, size_t))                                       \
    CALL(size_t, malloc_usable_size, (void *))                                                     \
    CALL(int, malloc_trim, (size_t))                                                               \
    CALL(struct mallinfo2, mallinfo2, (void))                                                      \
    CALL(void *, na_malloc_on, (int, size_t))                                                      \
    CALL(void *, na_aligned_alloc_on, (int, size_t, size_t))                                       \
    CALL(int, na_node_of, (const void *))                                                          \
    CALL(enum na_resident_status, na_resident, (const void *, size_t, size_t *, size_t))           \
    CALL(int, na_stats, (struct na_stats *))                                                       \
    CALL(int, na_stats_json, (int))                                                                \
    CALL(size_t, na_purge, (void))                                                                 \
    CALL(void *, _Znwm, (size_t))                                                                  \
    CALL(void *, _Znam, (size_t))                                                                  \
    CALL(void *, _ZnwmRKSt9nothrow_t, (size_t, const void *))                                      \
    CALL(void *, _ZnamRKSt9nothrow_t, (size_t, const void *))                                      \
    CALL(void *, _ZnwmSt11align_val_t, (size_t, size_t))                                           \
    CALL(void *, _ZnamSt11align_val_t, (size_t, size_t))                                           \
    CALL(void *, _ZnwmSt11align_val_tRKSt9nothrow_t, (size_t, size_t, const void *))               \
    CALL(void *, _ZnamSt11align_val_tRKSt9nothrow_t, (size_t, size_t, const void *))               \
    CALL(void, _ZdlPv, (void *))                                                                   \
    CALL(void, _ZdaPv, (void *))                                                                   \
    CALL(void, _ZdlPvm, (void *, size_t))                                                          \
    CALL(void, _ZdaPvm, (void *, size_t))                                                          \
    CALL(void, _ZdlPvRKSt9nothrow_t, (void *, const void *))                                       \
    CALL(void, _ZdaPvRKSt9nothrow_t, (void *, const void *))                                       \
    CALL(void, _ZdlPvSt11align_val_t, (void *, size_t))                                            \
    CALL(void, _ZdaPvSt11align_val_t, (void *, size_t))                                            \
    CALL(void, _ZdlPvmSt11align_val_t, (void *, size_t, size_t))                                   \
    CALL(void, _ZdaPvmSt11align_val_t, (void *, size_t, size_t))                                   \
    CALL(void, _ZdlPvSt11align_val_tRKSt9nothrow_t, (void *, size_t, const void *))                \
    CALL(void, _ZdaPvSt11align_val_tRKSt9nothrow_t, (void *, size_t, const void *))

/* NULL: the allocator has no such function. */
extern struct calls {
#define CALL_MEMBER(result, name, parameters) result(*name) parameters;
    TORTURE_CALLS(CALL_MEMBER)
#undef CALL_MEMBER
} calls;

/* Finds them all. */
void calls_find(void);
