/* The bandwidth kernels, after J. D. McCalpin's STREAM, plus a sum that only reads.
 *
 * What is counted stands beside what is done: bytes the loop itself reads and writes. The line a
 * store first brings into the cache (write-allocate) is not counted, as in STREAM, so a machine
 * moves up to a third (Add, Triad) or half (Copy, Scale) more than is reported. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stdbool.h>
#include <stddef.h>

/* Three arrays of one length. */
struct stream_arrays {
    double *a, *b, *c;
};

struct stream_kernel {
    const char *name;
    const char *formula;
    unsigned bytes_read, bytes_written; /* an element */
    /* Runs once over elements [0, count); the read-only kernel returns its sum, the others 0. */
    double (*run)(const struct stream_arrays *arrays, size_t count);
};

/* In the order of a round: the results' check relies on it. */
#define STREAM_KERNELS 5
#define STREAM_SUM     4 /* the one that returns a sum */
extern const struct stream_kernel stream_kernels[STREAM_KERNELS];

/* Sets a = 1, b = 2, c = 0: what the check starts from, and the first touch of the memory. */
void stream_fill(const struct stream_arrays *arrays, size_t count);

/* Checks every element after `rounds` rounds, each kernel run at least once a round (once or more
 * gives the same arrays), and the last sum of a. Returns NULL, or which array is wrong: "a", "b",
 * "c" or "sum". */
const char *stream_check(const struct stream_arrays *arrays, size_t count, size_t rounds,
                         double sum);

#endif
