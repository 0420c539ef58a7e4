/* The kernels with 512-bit vectors of x86-64: one is a line. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels.h"
#include "kernels_order.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f")
#endif

typedef uint64_t words __attribute__((vector_size(64), may_alias));

typedef __m512d line;

KERNEL_INLINE line load(const double *from) {
    return _mm512_load_pd(from);
}

/* The barrier keeps the compiler from making a call of memcpy of the loop. */
KERNEL_INLINE void store(double *to, line x) {
    _mm512_store_pd(to, x);
    __asm__ volatile("" : : : "memory");
}

KERNEL_INLINE void store_nt(double *to, line x) {
    _mm512_stream_pd(to, x);
}

KERNEL_INLINE uint64_t fence(void) {
    _mm_sfence();
    return 0;
}

KERNEL_INLINE line splat(double value) {
    return _mm512_set1_pd(value);
}

KERNEL_INLINE line plus(line x, line y) {
    return x + y;
}

KERNEL_INLINE line times(double factor, line x) {
    return factor * x;
}

typedef struct {
    words words;
} sums;

KERNEL_INLINE void sum_line(sums *total, const double *from) {
    total->words += *(const words *)(const void *)from;
}

KERNEL_INLINE uint64_t sums_total(const sums *total) {
    uint64_t all = 0;
    for (size_t i = 0; i < sizeof(words) / sizeof all; i++)
        all += total->words[i];
    return all;
}

#define KERNEL_HAS_NON_TEMPORAL
#define KERNEL_SET      kernel_set_avx512
#define KERNEL_SET_NAME "avx512"
#include "kernels_loops.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
