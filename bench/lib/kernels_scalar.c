/* The kernels with one 64-bit register an element, on any processor. */
#include "kernels_order.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

/* Hides from the compiler how the value came about, so that it cannot put several into a vector. */
KERNEL_INLINE double opaque(double value) {
#if defined(__x86_64__)
    __asm__("" : "+x"(value));
#elif defined(__aarch64__)
    __asm__("" : "+w"(value));
#else
    __asm__("" : "+m"(value));
#endif
    return value;
}

typedef struct {
    double v0, v1, v2, v3, v4, v5, v6, v7;
} line;

KERNEL_INLINE line load(const double *from) {
    return (line){opaque(from[0]), opaque(from[1]), opaque(from[2]), opaque(from[3]),
                  opaque(from[4]), opaque(from[5]), opaque(from[6]), opaque(from[7])};
}

/* Volatile: eight stores, not fewer and wider ones. */
KERNEL_INLINE void store(double *to, line x) {
    volatile double *element = to;
    element[0] = x.v0;
    element[1] = x.v1;
    element[2] = x.v2;
    element[3] = x.v3;
    element[4] = x.v4;
    element[5] = x.v5;
    element[6] = x.v6;
    element[7] = x.v7;
}

KERNEL_INLINE line splat(double value) {
    return (line){value, value, value, value, value, value, value, value};
}

KERNEL_INLINE line plus(line x, line y) {
    return (line){opaque(x.v0 + y.v0), opaque(x.v1 + y.v1), opaque(x.v2 + y.v2),
                  opaque(x.v3 + y.v3), opaque(x.v4 + y.v4), opaque(x.v5 + y.v5),
                  opaque(x.v6 + y.v6), opaque(x.v7 + y.v7)};
}

KERNEL_INLINE line times(double factor, line x) {
    return (line){opaque(factor * x.v0), opaque(factor * x.v1), opaque(factor * x.v2),
                  opaque(factor * x.v3), opaque(factor * x.v4), opaque(factor * x.v5),
                  opaque(factor * x.v6), opaque(factor * x.v7)};
}

#if defined(__x86_64__)
#define KERNEL_HAS_NON_TEMPORAL
KERNEL_INLINE void put_nt(double *to, double value) {
    union {
        double value;
        long long bits;
    } x = {.value = value};
    _mm_stream_si64((long long *)(void *)to, x.bits);
}

KERNEL_INLINE void store_nt(double *to, line x) {
    put_nt(to, x.v0);
    put_nt(to + 1, x.v1);
    put_nt(to + 2, x.v2);
    put_nt(to + 3, x.v3);
    put_nt(to + 4, x.v4);
    put_nt(to + 5, x.v5);
    put_nt(to + 6, x.v6);
    put_nt(to + 7, x.v7);
}

KERNEL_INLINE uint64_t fence(void) {
    _mm_sfence();
    return 0;
}
#elif defined(__aarch64__)
#define KERNEL_HAS_NON_TEMPORAL
/* There is none for one register. */
KERNEL_INLINE void put_pair_nt(double *to, double low, double high) {
    __asm__ volatile("stnp %d1, %d2, [%0]" : : "r"(to), "w"(low), "w"(high) : "memory");
}

KERNEL_INLINE void store_nt(double *to, line x) {
    put_pair_nt(to, x.v0, x.v1);
    put_pair_nt(to + 2, x.v2, x.v3);
    put_pair_nt(to + 4, x.v4, x.v5);
    put_pair_nt(to + 6, x.v6, x.v7);
}

KERNEL_INLINE uint64_t fence(void) {
    __asm__ volatile("dmb ish" : : : "memory");
    return 0;
}
#endif

typedef struct {
    uint64_t even, odd;
} sums;

typedef uint64_t __attribute__((may_alias)) word;

KERNEL_INLINE uint64_t word_of(const double *from) {
    uint64_t bits = *(const word *)(const void *)from;
    __asm__("" : "+r"(bits));
    return bits;
}

KERNEL_INLINE void sum_line(sums *total, const double *from) {
    total->even += word_of(from) + word_of(from + 2) + word_of(from + 4) + word_of(from + 6);
    total->odd += word_of(from + 1) + word_of(from + 3) + word_of(from + 5) + word_of(from + 7);
}

KERNEL_INLINE uint64_t sums_total(const sums *total) {
    return total->even + total->odd;
}

#define KERNEL_SET      kernel_set_scalar
#define KERNEL_SET_NAME "scalar"
#include "kernels_loops.h"
