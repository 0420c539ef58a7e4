/* The kernels' loops, the same for every instruction set with vectors of a fixed length. The file
 * that includes this, once, has defined what kernels_table.h needs, and as always-inlined functions
 * for its instruction set:
 *
 *   line                                                 a line of doubles in registers
 *   load(from), store(to, x), store_nt(to, x), fence()   fence waits for what store_nt wrote
 *   splat(value), plus(x, y), times(factor, x)
 *   sums, sum_line(&sums, from), sums_total(&sums)       64-bit words, added modulo 2^64
 *
 * The loops are not unrolled, and fetch nothing ahead: both were tried (up to 8 lines; 512 bytes to
 * 4 KiB ahead), and neither gained anything that a repetition did not take back, because memory
 * takes 2 ns or more for a line, and the loop's own instructions a quarter of that. */
#ifndef BENCH_KERNELS_LOOPS_H
#define BENCH_KERNELS_LOOPS_H

#include "kernels.h"
#include "kernels_order.h"

enum { STEP = KERNEL_LINE_BYTES / sizeof(double) }; /* elements from one line to the next */

/* store or store_nt: always a constant, and inlined. */
typedef void put_line(double *to, line x);

/* From four quarters in turn: hardware prefetches each sequence of addresses for itself, and
 * several keep more lines on their way than one (5 to 20 % more here). */
static uint64_t run_read(const struct kernel_slice *slice) {
    size_t quarter = slice->lines / 4, part = quarter * STEP;
    const double *a = slice->a, *end = slice->a + slice->lines * STEP;
    sums first = {0}, second = {0}, third = {0}, fourth = {0};
    for (size_t i = 0; i < quarter; i++, a += STEP) {
        sum_line(&first, a);
        sum_line(&second, a + part);
        sum_line(&third, a + 2 * part);
        sum_line(&fourth, a + 3 * part);
    }
    for (a += 3 * part; a < end; a += STEP)
        sum_line(&first, a);
    return sums_total(&first) + sums_total(&second) + sums_total(&third) + sums_total(&fourth);
}

/* The order comes from a counter, not from memory, and lines are asked for a batch before they are
 * read: a prefetch leaves the processor's window at once, so that as many are on their way as it
 * can have. */
static uint64_t run_read_random(const struct kernel_slice *slice) {
    const double *a = slice->a;
    struct kernel_order order = kernel_order_start(slice->lines);
    struct kernel_batch batches[2];
    sums total = {0};
    size_t now = 0;
    batches[now].count = 0;
    do {
        struct kernel_batch *next = &batches[1 - now], *due = &batches[now];
        kernel_order_next(&order, next);
        for (size_t i = 0; i < next->count; i++)
            __builtin_prefetch(a + next->lines[i] * STEP);
        for (size_t i = 0; i < due->count; i++)
            sum_line(&total, a + due->lines[i] * STEP);
        now = 1 - now;
    } while (!kernel_order_done(&order));
    for (size_t i = 0; i < batches[now].count; i++)
        sum_line(&total, a + batches[now].lines[i] * STEP);
    return sums_total(&total);
}

/* In quarters, as run_read. */
KERNEL_INLINE uint64_t write_with(const struct kernel_slice *slice, put_line *how) {
    size_t quarter = slice->lines / 4, part = quarter * STEP;
    double *c = slice->c, *end = slice->c + slice->lines * STEP;
    line value = splat(KERNEL_FACTOR);
    for (size_t i = 0; i < quarter; i++, c += STEP) {
        how(c, value);
        how(c + part, value);
        how(c + 2 * part, value);
        how(c + 3 * part, value);
    }
    for (c += 3 * part; c < end; c += STEP)
        how(c, value);
    return 0;
}

/* In halves: side by side, which brings non-temporal stores 5 to 10 % here, and ordinary ones
 * nothing. */
KERNEL_INLINE uint64_t copy_with(const struct kernel_slice *slice, put_line *how, bool halves) {
    size_t part = (halves ? slice->lines / 2 : slice->lines) * STEP;
    const double *a = slice->a;
    double *c = slice->c, *middle = c + part, *end = c + slice->lines * STEP;
    for (; c < middle; a += STEP, c += STEP) {
        how(c, load(a));
        if (halves)
            how(c + part, load(a + part));
    }
    if (halves)
        for (a += part, c += part; c < end; a += STEP, c += STEP)
            how(c, load(a));
    return 0;
}

KERNEL_INLINE uint64_t scale_with(const struct kernel_slice *slice, put_line *how, bool halves) {
    size_t part = (halves ? slice->lines / 2 : slice->lines) * STEP;
    const double *a = slice->a;
    double *c = slice->c, *middle = c + part, *end = c + slice->lines * STEP;
    for (; c < middle; a += STEP, c += STEP) {
        how(c, times(KERNEL_FACTOR, load(a)));
        if (halves)
            how(c + part, times(KERNEL_FACTOR, load(a + part)));
    }
    if (halves)
        for (a += part, c += part; c < end; a += STEP, c += STEP)
            how(c, times(KERNEL_FACTOR, load(a)));
    return 0;
}

KERNEL_INLINE uint64_t add_with(const struct kernel_slice *slice, put_line *how) {
    const double *a = slice->a, *b = slice->b;
    double *c = slice->c, *end = c + slice->lines * STEP;
    for (; c < end; a += STEP, b += STEP, c += STEP)
        how(c, plus(load(a), load(b)));
    return 0;
}

KERNEL_INLINE uint64_t triad_with(const struct kernel_slice *slice, put_line *how) {
    const double *a = slice->a, *b = slice->b;
    double *c = slice->c, *end = c + slice->lines * STEP;
    for (; c < end; a += STEP, b += STEP, c += STEP)
        how(c, plus(load(a), times(KERNEL_FACTOR, load(b))));
    return 0;
}

/* Loads before it come first: the compiler is free to load a line before the one below it, and a
 * sequence of addresses with such steps is one that a prefetcher may not follow. */
KERNEL_INLINE void in_order(void) {
    __asm__ volatile("" : : : "memory");
}

KERNEL_INLINE uint64_t mix_3_1_with(const struct kernel_slice *slice, put_line *how) {
    const double *a = slice->a;
    double *c = slice->c, *end = c + slice->lines / 3 * STEP;
    for (; c < end; a += 3 * STEP, c += STEP) {
        line first = load(a);
        in_order();
        line second = load(a + STEP);
        in_order();
        how(c, plus(plus(first, second), load(a + 2 * STEP)));
    }
    return 0;
}

KERNEL_INLINE uint64_t mix_2_1_with(const struct kernel_slice *slice, put_line *how) {
    const double *a = slice->a;
    double *c = slice->c, *end = c + slice->lines / 2 * STEP;
    for (; c < end; a += 2 * STEP, c += STEP) {
        line first = load(a);
        in_order();
        how(c, plus(first, load(a + STEP)));
    }
    return 0;
}

#include "kernels_table.h"

#endif
