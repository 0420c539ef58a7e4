/* The kernels with 256-bit vectors of x86-64. Sums of words need AVX2, the rest AVX. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels.h"
#include "kernels_order.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

typedef uint64_t words __attribute__((vector_size(32), may_alias));

typedef struct {
    __m256d v0, v1;
} line;

KERNEL_INLINE line load(const double *from) {
    return (line){_mm256_load_pd(from), _mm256_load_pd(from + 4)};
}

/* The barrier keeps the compiler from making a call of memcpy of the loop. */
KERNEL_INLINE void store(double *to, line x) {
    _mm256_store_pd(to, x.v0);
    _mm256_store_pd(to + 4, x.v1);
    __asm__ volatile("" : : : "memory");
}

KERNEL_INLINE void store_nt(double *to, line x) {
    _mm256_stream_pd(to, x.v0);
    _mm256_stream_pd(to + 4, x.v1);
}

KERNEL_INLINE uint64_t fence(void) {
    _mm_sfence();
    return 0;
}

KERNEL_INLINE line splat(double value) {
    return (line){_mm256_set1_pd(value), _mm256_set1_pd(value)};
}

KERNEL_INLINE line plus(line x, line y) {
    return (line){x.v0 + y.v0, x.v1 + y.v1};
}

KERNEL_INLINE line times(double factor, line x) {
    return (line){factor * x.v0, factor * x.v1};
}

typedef struct {
    words even, odd;
} sums;

KERNEL_INLINE void sum_line(sums *total, const double *from) {
    const words *w = (const words *)(const void *)from;
    total->even += w[0];
    total->odd += w[1];
}

KERNEL_INLINE uint64_t sums_total(const sums *total) {
    words all = total->even + total->odd;
    return all[0] + all[1] + all[2] + all[3];
}

#define KERNEL_HAS_NON_TEMPORAL
#define KERNEL_SET      kernel_set_avx2
#define KERNEL_SET_NAME "avx2"
#include "kernels_loops.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
