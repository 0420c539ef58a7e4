/* How many threads it takes until more of them bring nothing. */
#ifndef BENCH_SATURATION_H
#define BENCH_SATURATION_H

#include <stddef.h>

/* What a number of threads reached together. */
struct saturation_point {
    unsigned threads;
    double rate; /* median */
};

/* The point with the fewest threads whose rate is within `precision` (a fraction) of the best
 * one's; points in any order, at least one. */
size_t saturation_find(const struct saturation_point *points, size_t count, double precision);

/* The number of threads to measure next, so that in the end the number below the one that
 * saturates has been measured too: halfway between both. 0 when it has been. */
unsigned saturation_next(const struct saturation_point *points, size_t count, double precision);

#endif
