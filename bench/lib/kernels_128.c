/* The kernels with the 128-bit vectors that every x86-64 (SSE2) and every arm64 (NEON) has. */
#if defined(__x86_64__) || defined(__aarch64__)
#include "kernels_order.h"

typedef double vec __attribute__((vector_size(16), may_alias));
typedef uint64_t words __attribute__((vector_size(16), may_alias));

typedef struct {
    vec v0, v1, v2, v3;
} line;

KERNEL_INLINE line load(const double *from) {
    const vec *v = (const vec *)(const void *)from;
    return (line){v[0], v[1], v[2], v[3]};
}

/* The barrier keeps the compiler from making a call of memcpy of the loop. */
KERNEL_INLINE void store(double *to, line x) {
    vec *v = (vec *)(void *)to;
    v[0] = x.v0;
    v[1] = x.v1;
    v[2] = x.v2;
    v[3] = x.v3;
    __asm__ volatile("" : : : "memory");
}

#if defined(__x86_64__)
#include <emmintrin.h>

KERNEL_INLINE void store_nt(double *to, line x) {
    _mm_stream_pd(to, x.v0);
    _mm_stream_pd(to + 2, x.v1);
    _mm_stream_pd(to + 4, x.v2);
    _mm_stream_pd(to + 6, x.v3);
}

KERNEL_INLINE uint64_t fence(void) {
    _mm_sfence();
    return 0;
}

#define KERNEL_SET      kernel_set_sse2
#define KERNEL_SET_NAME "sse2"
#else
KERNEL_INLINE void store_nt(double *to, line x) {
    __asm__ volatile("stnp %q1, %q2, [%0]\n\tstnp %q3, %q4, [%0, #32]"
                     :
                     : "r"(to), "w"(x.v0), "w"(x.v1), "w"(x.v2), "w"(x.v3)
                     : "memory");
}

KERNEL_INLINE uint64_t fence(void) {
    __asm__ volatile("dmb ish" : : : "memory");
    return 0;
}

#define KERNEL_SET      kernel_set_neon
#define KERNEL_SET_NAME "neon"
#endif

KERNEL_INLINE line splat(double value) {
    vec v = {value, value};
    return (line){v, v, v, v};
}

KERNEL_INLINE line plus(line x, line y) {
    return (line){x.v0 + y.v0, x.v1 + y.v1, x.v2 + y.v2, x.v3 + y.v3};
}

KERNEL_INLINE line times(double factor, line x) {
    return (line){factor * x.v0, factor * x.v1, factor * x.v2, factor * x.v3};
}

typedef struct {
    words even, odd;
} sums;

KERNEL_INLINE void sum_line(sums *total, const double *from) {
    const words *w = (const words *)(const void *)from;
    total->even += w[0] + w[2];
    total->odd += w[1] + w[3];
}

KERNEL_INLINE uint64_t sums_total(const sums *total) {
    words all = total->even + total->odd;
    return all[0] + all[1];
}

#define KERNEL_HAS_NON_TEMPORAL
#include "kernels_loops.h"
#endif
