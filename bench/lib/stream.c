#include "stream.h"

#include <math.h>

/* STREAM's 3.0 multiplies the arrays by 15 a round and overflows after 260. With 0.42 a round
 * multiplies them by 2s + s^2 = 1.0164: 1000 rounds stay below 2e7, and a round or a slice that was
 * left out is off by more than the check allows. */
static const double scalar = 0.42;

/* Compiled for speed whatever the flags, and never turned into a call of memcpy, whose
 * non-temporal stores would give Copy alone another traffic than is stated. */
#if defined(__clang__)
#define STREAM_LOOP __attribute__((no_builtin("memcpy", "memmove")))
#else
#define STREAM_LOOP __attribute__((optimize("O3", "no-tree-loop-distribute-patterns")))
#endif

STREAM_LOOP static double copy(const struct stream_arrays *arrays, size_t count) {
    const double *restrict a = arrays->a;
    double *restrict c = arrays->c;
    for (size_t i = 0; i < count; i++)
        c[i] = a[i];
    return 0;
}

STREAM_LOOP static double scale(const struct stream_arrays *arrays, size_t count) {
    double *restrict b = arrays->b;
    const double *restrict c = arrays->c;
    for (size_t i = 0; i < count; i++)
        b[i] = scalar * c[i];
    return 0;
}

STREAM_LOOP static double add(const struct stream_arrays *arrays, size_t count) {
    const double *restrict a = arrays->a, *restrict b = arrays->b;
    double *restrict c = arrays->c;
    for (size_t i = 0; i < count; i++)
        c[i] = a[i] + b[i];
    return 0;
}

STREAM_LOOP static double triad(const struct stream_arrays *arrays, size_t count) {
    double *restrict a = arrays->a;
    const double *restrict b = arrays->b, *restrict c = arrays->c;
    for (size_t i = 0; i < count; i++)
        a[i] = b[i] + scalar * c[i];
    return 0;
}

/* Additions of doubles may not be reordered, so one running sum would wait 3 to 5 cycles on each.
 * Sixteen keep the adders busy with 128-bit vectors and leave memory the only limit. */
#define SUM_LANES 16

STREAM_LOOP static double sum(const struct stream_arrays *arrays, size_t count) {
    const double *restrict a = arrays->a;
    double lanes[SUM_LANES] = {0};
    size_t i = 0;
    for (; i + SUM_LANES <= count; i += SUM_LANES)
        for (size_t lane = 0; lane < SUM_LANES; lane++)
            lanes[lane] += a[i + lane];
    for (; i < count; i++)
        lanes[0] += a[i];
    double total = 0;
    for (size_t lane = 0; lane < SUM_LANES; lane++)
        total += lanes[lane];
    return total;
}

#define DOUBLE ((unsigned)sizeof(double))

const struct stream_kernel stream_kernels[STREAM_KERNELS] = {
    {"copy", "c = a", DOUBLE, DOUBLE, copy},
    {"scale", "b = s*c", DOUBLE, DOUBLE, scale},
    {"add", "c = a + b", 2 * DOUBLE, DOUBLE, add},
    {"triad", "a = b + s*c", 2 * DOUBLE, DOUBLE, triad},
    [STREAM_SUM] = {"sum", "x += a", DOUBLE, 0, sum},
};

void stream_fill(const struct stream_arrays *arrays, size_t count) {
    for (size_t i = 0; i < count; i++) {
        arrays->a[i] = 1;
        arrays->b[i] = 2;
        arrays->c[i] = 0;
    }
}

/* A thousand rounds round off by about 4e-13, a sum of 1e9 elements by less than 1e-8; a missing
 * round is off by 1.6e-2. */
static bool is_near(double value, double expected, double tolerance) {
    return fabs(value - expected) <= tolerance * fabs(expected);
}

static bool all_near(const double *values, size_t count, double expected) {
    for (size_t i = 0; i < count; i++)
        if (!is_near(values[i], expected, 1e-10))
            return false;
    return true;
}

const char *stream_check(const struct stream_arrays *arrays, size_t count, size_t rounds,
                         double total) {
    double a = 1, b = 2, c = 0;
    for (size_t round = 0; round < rounds; round++) {
        c = a;
        b = scalar * c;
        c = a + b;
        a = b + scalar * c;
    }
    if (!all_near(arrays->a, count, a))
        return "a";
    if (!all_near(arrays->b, count, b))
        return "b";
    if (!all_near(arrays->c, count, c))
        return "c";
    return is_near(total, a * (double)count, 1e-7) ? NULL : "sum";
}
