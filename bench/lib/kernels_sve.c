/* The kernels with arm64's vectors of a length that is known only when they run. What is left at
 * the end of an array is a vector with fewer elements, so there is no loop for it. */
#include "kernels.h"

/* clang before 16 has SVE only where the whole file is compiled for it. */
#if defined(__aarch64__) &&                                                                        \
    (defined(__ARM_FEATURE_SVE) || (defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10) || \
     (defined(__clang__) && __clang_major__ >= 16))

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("sve"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("+sve")
#endif

#include <arm_sve.h>

#include "kernels_order.h"

enum { STEP = KERNEL_LINE_BYTES / sizeof(double) };

/* store or store_nt: always a constant, and inlined. */
typedef void put_vector(svbool_t which, double *to, svfloat64_t x);

KERNEL_INLINE void store(svbool_t which, double *to, svfloat64_t x) {
    svst1_f64(which, to, x);
    __asm__ volatile("" : : : "memory");
}

KERNEL_INLINE void store_nt(svbool_t which, double *to, svfloat64_t x) {
    svstnt1_f64(which, to, x);
}

KERNEL_INLINE uint64_t fence(void) {
    __asm__ volatile("dmb ish" : : : "memory");
    return 0;
}

KERNEL_INLINE svbool_t from_to(size_t i, size_t end) {
    return svwhilelt_b64_u64(i, end);
}

KERNEL_INLINE svuint64_t sum_of(svbool_t which, svuint64_t total, const double *from) {
    return svadd_u64_m(which, total, svreinterpret_u64_f64(svld1_f64(which, from)));
}

/* From four quarters in turn, like the other instruction sets. */
static uint64_t run_read(const struct kernel_slice *slice) {
    size_t part = slice->lines / 4 * STEP, end = slice->lines * STEP;
    const double *a = slice->a;
    svuint64_t even = svdup_u64(0), odd = svdup_u64(0);
    for (size_t i = 0; i < part; i += svcntd()) {
        svbool_t which = from_to(i, part);
        even = sum_of(which, even, a + i);
        odd = sum_of(which, odd, a + part + i);
        even = sum_of(which, even, a + 2 * part + i);
        odd = sum_of(which, odd, a + 3 * part + i);
    }
    for (size_t i = 4 * part; i < end; i += svcntd())
        even = sum_of(from_to(i, end), even, a + i);
    return svaddv_u64(svptrue_b64(), even) + svaddv_u64(svptrue_b64(), odd);
}

KERNEL_INLINE svuint64_t sum_batch(svuint64_t total, const double *a,
                                   const struct kernel_batch *batch) {
    for (size_t k = 0; k < batch->count; k++)
        for (size_t i = 0; i < STEP; i += svcntd())
            total = sum_of(from_to(i, STEP), total, a + batch->lines[k] * STEP + i);
    return total;
}

static uint64_t run_read_random(const struct kernel_slice *slice) {
    struct kernel_order order = kernel_order_start(slice->lines);
    struct kernel_batch batches[2];
    svuint64_t total = svdup_u64(0);
    size_t now = 0;
    batches[now].count = 0;
    do {
        struct kernel_batch *next = &batches[1 - now];
        kernel_order_next(&order, next);
        for (size_t i = 0; i < next->count; i++)
            __builtin_prefetch(slice->a + next->lines[i] * STEP);
        total = sum_batch(total, slice->a, &batches[now]);
        now = 1 - now;
    } while (!kernel_order_done(&order));
    total = sum_batch(total, slice->a, &batches[now]);
    return svaddv_u64(svptrue_b64(), total);
}

KERNEL_INLINE uint64_t write_with(const struct kernel_slice *slice, put_vector *how) {
    size_t part = slice->lines / 4 * STEP, end = slice->lines * STEP;
    svfloat64_t value = svdup_f64(KERNEL_FACTOR);
    for (size_t i = 0; i < part; i += svcntd()) {
        svbool_t which = from_to(i, part);
        for (size_t at = i; at < 4 * part; at += part)
            how(which, slice->c + at, value);
    }
    for (size_t i = 4 * part; i < end; i += svcntd())
        how(from_to(i, end), slice->c + i, value);
    return 0;
}

KERNEL_INLINE uint64_t copy_with(const struct kernel_slice *slice, put_vector *how, bool halves) {
    size_t part = (halves ? slice->lines / 2 : slice->lines) * STEP, end = slice->lines * STEP;
    const double *a = slice->a;
    for (size_t i = 0; i < part; i += svcntd()) {
        svbool_t which = from_to(i, part);
        how(which, slice->c + i, svld1_f64(which, a + i));
        if (halves)
            how(which, slice->c + part + i, svld1_f64(which, a + part + i));
    }
    if (halves)
        for (size_t i = 2 * part; i < end; i += svcntd()) {
            svbool_t which = from_to(i, end);
            how(which, slice->c + i, svld1_f64(which, a + i));
        }
    return 0;
}

KERNEL_INLINE svfloat64_t scaled(svbool_t which, const double *from) {
    return svmul_n_f64_x(which, svld1_f64(which, from), KERNEL_FACTOR);
}

KERNEL_INLINE uint64_t scale_with(const struct kernel_slice *slice, put_vector *how, bool halves) {
    size_t part = (halves ? slice->lines / 2 : slice->lines) * STEP, end = slice->lines * STEP;
    const double *a = slice->a;
    for (size_t i = 0; i < part; i += svcntd()) {
        svbool_t which = from_to(i, part);
        how(which, slice->c + i, scaled(which, a + i));
        if (halves)
            how(which, slice->c + part + i, scaled(which, a + part + i));
    }
    if (halves)
        for (size_t i = 2 * part; i < end; i += svcntd()) {
            svbool_t which = from_to(i, end);
            how(which, slice->c + i, scaled(which, a + i));
        }
    return 0;
}

KERNEL_INLINE uint64_t add_with(const struct kernel_slice *slice, put_vector *how) {
    size_t end = slice->lines * STEP;
    for (size_t i = 0; i < end; i += svcntd()) {
        svbool_t which = from_to(i, end);
        svfloat64_t x = svld1_f64(which, slice->a + i), y = svld1_f64(which, slice->b + i);
        how(which, slice->c + i, svadd_f64_x(which, x, y));
    }
    return 0;
}

KERNEL_INLINE uint64_t triad_with(const struct kernel_slice *slice, put_vector *how) {
    size_t end = slice->lines * STEP;
    for (size_t i = 0; i < end; i += svcntd()) {
        svbool_t which = from_to(i, end);
        svfloat64_t x = svld1_f64(which, slice->a + i), y = svld1_f64(which, slice->b + i);
        how(which, slice->c + i, svmla_n_f64_x(which, x, y, KERNEL_FACTOR));
    }
    return 0;
}

/* A line of c is the sum of `lines` lines of a. */
KERNEL_INLINE uint64_t mix_with(const struct kernel_slice *slice, size_t lines, put_vector *how) {
    const double *a = slice->a;
    double *c = slice->c, *end = c + slice->lines / lines * STEP;
    for (; c < end; a += lines * STEP, c += STEP)
        for (size_t i = 0; i < STEP; i += svcntd()) {
            svbool_t which = from_to(i, STEP);
            svfloat64_t sum = svld1_f64(which, a + i);
            for (size_t line = 1; line < lines; line++) {
                __asm__ volatile("" : : : "memory"); /* the lines in order */
                sum = svadd_f64_x(which, sum, svld1_f64(which, a + line * STEP + i));
            }
            how(which, c + i, sum);
        }
    return 0;
}

KERNEL_INLINE uint64_t mix_3_1_with(const struct kernel_slice *slice, put_vector *how) {
    return mix_with(slice, 3, how);
}

KERNEL_INLINE uint64_t mix_2_1_with(const struct kernel_slice *slice, put_vector *how) {
    return mix_with(slice, 2, how);
}

#define KERNEL_HAS_NON_TEMPORAL
#define KERNEL_SET      kernel_set_sve
#define KERNEL_SET_NAME "sve"
#include "kernels_table.h"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
const struct kernel_set kernel_set_sve = {.name = NULL};
#endif
