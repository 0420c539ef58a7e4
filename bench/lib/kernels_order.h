/* Every line of a slice once, in an order that no hardware prefetcher foresees, from a counter.
 *
 * With 2^k the next power of two, i -> x = i*m; x ^= x >> s; x = x*n; x ^= x >> s (all modulo 2^k,
 * m and n odd, s at least 1) changes the order of 0..2^k-1: each of its parts can be undone.
 * Numbers beyond the slice are dropped. */
#ifndef BENCH_KERNELS_ORDER_H
#define BENCH_KERNELS_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_INLINE static inline __attribute__((always_inline))

struct kernel_order {
    uint64_t lines;
    uint64_t at, end; /* counter, 2^k */
    unsigned shift;
};

/* More than a core has lines on their way (64 at most in those of 2024), and few beside a cache. */
enum { KERNEL_BATCH = 64 };

struct kernel_batch {
    size_t count;
    uint64_t lines[KERNEL_BATCH];
};

KERNEL_INLINE struct kernel_order kernel_order_start(uint64_t lines) {
    struct kernel_order order = {.lines = lines, .end = 1};
    unsigned bits = 0;
    for (; order.end < lines; order.end *= 2)
        bits++;
    order.shift = bits / 2 + 1;
    return order;
}

KERNEL_INLINE bool kernel_order_done(const struct kernel_order *order) {
    return order->at >= order->end;
}

/* The next lines, as many as are left of KERNEL_BATCH numbers. Without a branch that would depend
 * on the number. */
KERNEL_INLINE void kernel_order_next(struct kernel_order *order, struct kernel_batch *batch) {
    uint64_t left = order->end - order->at;
    uint64_t end = order->at + (left < KERNEL_BATCH ? left : KERNEL_BATCH);
    size_t count = 0;
    for (uint64_t i = order->at; i < end; i++) {
        uint64_t x = i * 0x9e3779b97f4a7c15 & (order->end - 1);
        x ^= x >> order->shift;
        x = x * 0xd1342543de82ef95 & (order->end - 1);
        x ^= x >> order->shift;
        batch->lines[count] = x;
        count += x < order->lines;
    }
    batch->count = count;
    order->at = end;
}

#endif
