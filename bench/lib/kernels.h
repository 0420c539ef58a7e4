/* The bandwidth kernels: loops over memory, a table row each, in every instruction set.
 *
 * What is counted stands beside what is done, after likwid-bench's kernel files: a row says how
 * many bytes the loop loads and stores in a step, and how many bytes its stores make the cache
 * fetch first (write-allocate). The loops of an instruction set are in a file of their own; all of
 * them work on whole lines, because memory does.
 *
 * Three arrays: a and b are only read, c is only written. So a kernel leaves the same result
 * however often it runs, whichever others ran before, and every element of it can be checked. */
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The line of x86-64 and of nearly all arm64. Where lines are longer, random reads of lines fetch
 * more than is counted. */
#define KERNEL_LINE_BYTES    ((size_t)64)
#define KERNEL_LINE_ELEMENTS (KERNEL_LINE_BYTES / sizeof(double))

/* What a and b are multiplied by: a power of two, so that a product is exact, and a sum the same
 * whether or not the compiler fuses it with the multiplication before. */
#define KERNEL_FACTOR 0.5

/* The lines [0, lines) of a thread, each array beginning on a line. */
struct kernel_slice {
    double *a, *b, *c;
    size_t lines;
    size_t first_line; /* its place in the whole arrays: what the slice holds follows from it */
};

enum kernel_id {
    KERNEL_READ,
    KERNEL_WRITE,
    KERNEL_COPY,
    KERNEL_SCALE,
    KERNEL_ADD,
    KERNEL_TRIAD,
    KERNEL_MIX_3_1,
    KERNEL_MIX_2_1,
    KERNEL_MIX_1_1,
    KERNEL_READ_RANDOM,
    KERNEL_WRITE_NT,
    KERNEL_COPY_NT,
    KERNEL_SCALE_NT,
    KERNEL_ADD_NT,
    KERNEL_TRIAD_NT,
    KERNEL_MIX_3_1_NT,
    KERNEL_MIX_2_1_NT,
    KERNEL_MIX_1_1_NT,
    KERNEL_WRITE_STRING,
    KERNEL_COPY_STRING,
    KERNELS,
};

/* How a kernel stores. */
enum kernel_stores {
    KERNEL_NO_STORES,
    KERNEL_ORDINARY,
    KERNEL_NON_TEMPORAL, /* past the caches, lines are not fetched first */
    KERNEL_STRING,       /* the processor's own instruction for a whole block or line */
};

struct kernel {
    const char *name; /* the CSV's variant */
    const char *formula;
    enum kernel_stores stores;
    /* A step, of which a pass makes lines / step_lines: */
    unsigned step_lines;
    unsigned bytes_read, bytes_written;
    unsigned
        bytes_allocated; /* lines that its stores bring into the cache before they change them */
    unsigned streams;    /* arrays used */
};

extern const struct kernel kernels[KERNELS];

/* Bytes of a pass over a slice. */
struct kernel_traffic {
    uint64_t read, written, allocated;
};

struct kernel_traffic kernel_traffic(const struct kernel *kernel, size_t lines);

/* Narrowest first: of those available, the last but KERNEL_ISA_STRING is the default. */
enum kernel_isa {
    KERNEL_ISA_SCALAR, /* one 64-bit register an element */
    KERNEL_ISA_SSE2,
    KERNEL_ISA_AVX2,
    KERNEL_ISA_AVX512,
    KERNEL_ISA_NEON,
    KERNEL_ISA_SVE,
    KERNEL_ISA_STRING, /* x86-64's rep stosb and rep movsb, arm64's dc zva; all other kernels lack
                        */
    KERNEL_ISAS,
};

/* Runs once over the slice. A kernel that stores nothing returns the sum of the 64-bit words that
 * it read, modulo 2^64, the others 0. */
typedef uint64_t kernel_run(const struct kernel_slice *slice);

/* An instruction set's loops; NULL: it has none for that kernel. */
struct kernel_set {
    const char *name; /* the CSV's isa */
    kernel_run *run[KERNELS];
};

/* NULL where this processor, or the compiler this was built with, lacks the instruction set. */
const struct kernel_set *kernel_set(enum kernel_isa isa);

/* The widest available one; never KERNEL_ISA_STRING. */
enum kernel_isa kernel_widest_isa(void);

/* "scalar", "avx512", ...: available or not. */
const char *kernel_isa_name(enum kernel_isa isa);

/* Sets a and b to values that differ in every element, and c to one that no kernel leaves. It is
 * the first touch of the memory. */
void kernel_fill(const struct kernel_slice *slice);

/* Sets c back to that value, so that a kernel that does nothing is found. */
void kernel_wipe(const struct kernel_slice *slice);

/* Checks every element of a and b. Returns NULL, or what is wrong: "a" or "b". */
const char *kernel_check_sources(const struct kernel_slice *slice);

/* Checks every element of c after the kernel ran, once or more, on a filled or wiped slice, and
 * leaves c wiped. Returns NULL, or "c", which is wrong. A kernel that stores nothing has no result
 * there, but a sum. */
const char *kernel_check_and_wipe(enum kernel_id id, const struct kernel_slice *slice);

/* What one pass returns that reads what it should, without reading memory; 0 for a kernel that
 * stores. */
uint64_t kernel_expected_sum(enum kernel_id id, const struct kernel_slice *slice);

/* The loops by instruction set; without any where the compiler or the processor's kind lacks it. */
extern const struct kernel_set kernel_set_scalar, kernel_set_sse2, kernel_set_avx2;
extern const struct kernel_set kernel_set_avx512, kernel_set_neon, kernel_set_sve;
extern const struct kernel_set kernel_set_string;

#endif
