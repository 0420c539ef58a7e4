#include "kernels.h"

#include <string.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#define LINE ((unsigned)KERNEL_LINE_BYTES)

/* Allocated is what an ordinary store costs by the rules of write-allocate caches: its line is
 * fetched. Non-temporal stores fill a line in a buffer and send it whole (Intel 64 and IA-32
 * Architectures Software Developer's Manual, volume 1, 10.4.6.2), on arm64 they are a hint to do
 * so. rep stosb and rep movsb use a protocol that does not fetch, as far as measured (P. Cordes and
 * T. Downs, "Enhanced REP MOVSB for memcpy", stackoverflow.com/a/43574756); DC ZVA need not fetch
 * what it zeroes. Processors that recognise whole lines of ordinary stores (arm64's write
 * streaming, SpecI2M since Ice Lake) fetch less: the memory controllers' count tells. */
const struct kernel kernels[KERNELS] = {
    [KERNEL_READ] = {"read", "sum += a", KERNEL_NO_STORES, 1, LINE, 0, 0, 1},
    [KERNEL_WRITE] = {"write", "c = s", KERNEL_ORDINARY, 1, 0, LINE, LINE, 1},
    [KERNEL_COPY] = {"copy", "c = a", KERNEL_ORDINARY, 1, LINE, LINE, LINE, 2},
    [KERNEL_SCALE] = {"scale", "c = s*a", KERNEL_ORDINARY, 1, LINE, LINE, LINE, 2},
    [KERNEL_ADD] = {"add", "c = a + b", KERNEL_ORDINARY, 1, 2 * LINE, LINE, LINE, 3},
    [KERNEL_TRIAD] = {"triad", "c = a + s*b", KERNEL_ORDINARY, 1, 2 * LINE, LINE, LINE, 3},
    [KERNEL_MIX_3_1] = {"mix-3:1", "3 lines of a added into 1 of c", KERNEL_ORDINARY, 3, 3 * LINE,
                        LINE, LINE, 2},
    [KERNEL_MIX_2_1] = {"mix-2:1", "2 lines of a added into 1 of c", KERNEL_ORDINARY, 2, 2 * LINE,
                        LINE, LINE, 2},
    [KERNEL_MIX_1_1] = {"mix-1:1", "a line of a into 1 of c", KERNEL_ORDINARY, 1, LINE, LINE, LINE,
                        2},
    [KERNEL_READ_RANDOM] = {"read-random", "sum += a, lines in random order", KERNEL_NO_STORES, 1,
                            LINE, 0, 0, 1},
    [KERNEL_WRITE_NT] = {"write-nt", "c = s", KERNEL_NON_TEMPORAL, 1, 0, LINE, 0, 1},
    [KERNEL_COPY_NT] = {"copy-nt", "c = a", KERNEL_NON_TEMPORAL, 1, LINE, LINE, 0, 2},
    [KERNEL_SCALE_NT] = {"scale-nt", "c = s*a", KERNEL_NON_TEMPORAL, 1, LINE, LINE, 0, 2},
    [KERNEL_ADD_NT] = {"add-nt", "c = a + b", KERNEL_NON_TEMPORAL, 1, 2 * LINE, LINE, 0, 3},
    [KERNEL_TRIAD_NT] = {"triad-nt", "c = a + s*b", KERNEL_NON_TEMPORAL, 1, 2 * LINE, LINE, 0, 3},
    [KERNEL_MIX_3_1_NT] = {"mix-3:1-nt", "3 lines of a added into 1 of c", KERNEL_NON_TEMPORAL, 3,
                           3 * LINE, LINE, 0, 2},
    [KERNEL_MIX_2_1_NT] = {"mix-2:1-nt", "2 lines of a added into 1 of c", KERNEL_NON_TEMPORAL, 2,
                           2 * LINE, LINE, 0, 2},
    [KERNEL_MIX_1_1_NT] = {"mix-1:1-nt", "a line of a into 1 of c", KERNEL_NON_TEMPORAL, 1, LINE,
                           LINE, 0, 2},
    [KERNEL_WRITE_STRING] = {"write-string", "c = 0", KERNEL_STRING, 1, 0, LINE, 0, 1},
    [KERNEL_COPY_STRING] = {"copy-string", "c = a", KERNEL_STRING, 1, LINE, LINE, 0, 2},
};

struct kernel_traffic kernel_traffic(const struct kernel *kernel, size_t lines) {
    uint64_t steps = lines / kernel->step_lines;
    return (struct kernel_traffic){steps * kernel->bytes_read, steps * kernel->bytes_written,
                                   steps * kernel->bytes_allocated};
}

static const char *const isa_names[KERNEL_ISAS] = {
    [KERNEL_ISA_SCALAR] = "scalar", [KERNEL_ISA_SSE2] = "sse2", [KERNEL_ISA_AVX2] = "avx2",
    [KERNEL_ISA_AVX512] = "avx512", [KERNEL_ISA_NEON] = "neon", [KERNEL_ISA_SVE] = "sve",
    [KERNEL_ISA_STRING] = "string",
};

const char *kernel_isa_name(enum kernel_isa isa) {
    return isa_names[isa];
}

const struct kernel_set *kernel_set(enum kernel_isa isa) {
    switch (isa) {
    case KERNEL_ISA_SCALAR:
        return &kernel_set_scalar;
    case KERNEL_ISA_STRING:
        return &kernel_set_string;
#if defined(__x86_64__)
    case KERNEL_ISA_SSE2:
        return &kernel_set_sse2;
    case KERNEL_ISA_AVX2:
        return __builtin_cpu_supports("avx2") ? &kernel_set_avx2 : NULL;
    case KERNEL_ISA_AVX512:
        return __builtin_cpu_supports("avx512f") ? &kernel_set_avx512 : NULL;
#elif defined(__aarch64__)
    case KERNEL_ISA_NEON:
        return &kernel_set_neon;
    case KERNEL_ISA_SVE:
        return (getauxval(AT_HWCAP) & HWCAP_SVE) != 0 && kernel_set_sve.name != NULL
                   ? &kernel_set_sve
                   : NULL;
#endif
    default:
        return NULL;
    }
}

enum kernel_isa kernel_widest_isa(void) {
    enum kernel_isa widest = KERNEL_ISA_SCALAR;
    for (enum kernel_isa isa = KERNEL_ISA_SCALAR; isa < KERNEL_ISA_STRING; isa++)
        if (kernel_set(isa) != NULL)
            widest = isa;
    return widest;
}

/* What element i of the whole arrays holds: all different, and whole numbers, so that sums of a few
 * of them and products with KERNEL_FACTOR are exact up to arrays of 2^50 elements. */
static double value_of_a(uint64_t i) {
    return (double)(i + 1);
}

static double value_of_b(uint64_t i) {
    return (double)(3 * i + 2);
}

/* Nothing that a kernel leaves: those are not below 0. */
#define WIPED (-1.0)

static uint64_t first_element(const struct kernel_slice *slice) {
    return (uint64_t)slice->first_line * KERNEL_LINE_ELEMENTS;
}

/* What element i of a slice holds that begins with element `first` of the whole arrays. */
typedef double value_in_slice(enum kernel_id id, uint64_t first, size_t i);

static double a_in_slice(enum kernel_id id, uint64_t first, size_t i) {
    (void)id;
    return value_of_a(first + i);
}

static double b_in_slice(enum kernel_id id, uint64_t first, size_t i) {
    (void)id;
    return value_of_b(first + i);
}

/* `lines` lines of a from line `from` on, added element by element; element j of such a line. */
static double added_lines(uint64_t first, size_t from, unsigned lines, size_t j) {
    double sum = 0;
    for (unsigned line = 0; line < lines; line++)
        sum += value_of_a(first + (from + line) * KERNEL_LINE_ELEMENTS + j);
    return sum;
}

/* What the kernel leaves there. */
static double c_in_slice(enum kernel_id id, uint64_t first, size_t i) {
    switch (id) {
    case KERNEL_READ:
    case KERNEL_READ_RANDOM:
    case KERNELS:
        return WIPED;
    case KERNEL_WRITE:
    case KERNEL_WRITE_NT:
        return KERNEL_FACTOR;
    case KERNEL_WRITE_STRING:
        return 0;
    case KERNEL_COPY:
    case KERNEL_COPY_NT:
    case KERNEL_COPY_STRING:
        return value_of_a(first + i);
    case KERNEL_SCALE:
    case KERNEL_SCALE_NT:
        return KERNEL_FACTOR * value_of_a(first + i);
    case KERNEL_ADD:
    case KERNEL_ADD_NT:
        return value_of_a(first + i) + value_of_b(first + i);
    case KERNEL_TRIAD:
    case KERNEL_TRIAD_NT:
        return value_of_a(first + i) + KERNEL_FACTOR * value_of_b(first + i);
    case KERNEL_MIX_3_1:
    case KERNEL_MIX_2_1:
    case KERNEL_MIX_1_1:
    case KERNEL_MIX_3_1_NT:
    case KERNEL_MIX_2_1_NT:
    case KERNEL_MIX_1_1_NT: {
        size_t step = i / KERNEL_LINE_ELEMENTS;
        unsigned lines = kernels[id].step_lines;
        return added_lines(first, step * lines, lines, i % KERNEL_LINE_ELEMENTS);
    }
    }
    return WIPED;
}

/* A line of an array is so many vectors that every 64-bit processor has registers for: memory is
 * slower still. */
typedef double pair __attribute__((vector_size(16), may_alias));
typedef uint64_t words __attribute__((vector_size(16), may_alias));
#define LINE_PAIRS (KERNEL_LINE_BYTES / sizeof(pair))

/* Lines that are gone through at a time: a block stays in the nearest caches. */
#define BLOCK_LINES ((size_t)1024)

/* A line, and how much more every element of the next one is: all arrays and results rise evenly,
 * by numbers of which sums are exact, so that what a line holds need not be computed from its place
 * each time. */
struct rise {
    pair line[LINE_PAIRS], step;
};

static void begin_rise(struct rise *rise, value_in_slice *value, enum kernel_id id, uint64_t first,
                       size_t line) {
    size_t i = line * KERNEL_LINE_ELEMENTS;
    for (size_t j = 0; j < KERNEL_LINE_ELEMENTS; j++)
        rise->line[j / 2][j % 2] = value(id, first, i + j);
    rise->step = (pair){0} + (value(id, first, i + KERNEL_LINE_ELEMENTS) - value(id, first, i));
}

static size_t block_end(size_t from, size_t lines) {
    return lines - from < BLOCK_LINES ? lines : from + BLOCK_LINES;
}

static void set_lines(double *array, size_t from, size_t end, const struct rise *start) {
    struct rise rise = *start;
    pair *to = (pair *)(array + from * KERNEL_LINE_ELEMENTS);
    for (; from < end; from++, to += LINE_PAIRS) {
#pragma GCC unroll 4
        for (size_t k = 0; k < LINE_PAIRS; k++) {
            to[k] = rise.line[k];
            rise.line[k] += rise.step;
        }
    }
}

static const struct rise wiped = {
    .line = {{WIPED, WIPED}, {WIPED, WIPED}, {WIPED, WIPED}, {WIPED, WIPED}}};

void kernel_fill(const struct kernel_slice *slice) {
    uint64_t first = first_element(slice);
    struct rise a, b;
    for (size_t from = 0, end; from < slice->lines; from = end) {
        end = block_end(from, slice->lines);
        begin_rise(&a, a_in_slice, KERNELS, first, from);
        begin_rise(&b, b_in_slice, KERNELS, first, from);
        set_lines(slice->a, from, end, &a);
        set_lines(slice->b, from, end, &b);
        set_lines(slice->c, from, end, &wiped);
    }
}

void kernel_wipe(const struct kernel_slice *slice) {
    set_lines(slice->c, 0, slice->lines, &wiped);
}

uint64_t kernel_expected_sum(enum kernel_id id, const struct kernel_slice *slice) {
    words sum = {0};
    if (kernels[id].stores != KERNEL_NO_STORES)
        return 0;
    for (size_t from = 0, end; from < slice->lines; from = end) {
        struct rise a;
        end = block_end(from, slice->lines);
        begin_rise(&a, a_in_slice, KERNELS, first_element(slice), from);
        for (size_t line = from; line < end; line++) {
#pragma GCC unroll 4
            for (size_t k = 0; k < LINE_PAIRS; k++) {
                sum += (words)a.line[k];
                a.line[k] += a.step;
            }
        }
    }
    return sum[0] + sum[1];
}

/* Whether every element is what it must be, bit by bit. */
static bool are_right(const double *array, size_t from, size_t end, const struct rise *start) {
    struct rise rise = *start;
    const words *found = (const words *)(array + from * KERNEL_LINE_ELEMENTS);
    words wrong[LINE_PAIRS] = {{0}};
    for (; from < end; from++, found += LINE_PAIRS) {
#pragma GCC unroll 4
        for (size_t k = 0; k < LINE_PAIRS; k++) {
            wrong[k] |= found[k] ^ (words)rise.line[k];
            rise.line[k] += rise.step;
        }
    }
    words any = wrong[0] | wrong[1] | wrong[2] | wrong[3];
    return (any[0] | any[1]) == 0;
}

const char *kernel_check_sources(const struct kernel_slice *slice) {
    uint64_t first = first_element(slice);
    struct rise a, b;
    for (size_t from = 0, end; from < slice->lines; from = end) {
        end = block_end(from, slice->lines);
        begin_rise(&a, a_in_slice, KERNELS, first, from);
        begin_rise(&b, b_in_slice, KERNELS, first, from);
        if (!are_right(slice->a, from, end, &a))
            return "a";
        if (!are_right(slice->b, from, end, &b))
            return "b";
    }
    return NULL;
}

const char *kernel_check_and_wipe(enum kernel_id id, const struct kernel_slice *slice) {
    /* A mix writes a line a step, and none of the rest. Reads leave whatever was there. */
    const struct kernel *kernel = &kernels[id];
    size_t written = kernel->bytes_written == 0 ? 0 : slice->lines / kernel->step_lines;
    struct rise c;
    for (size_t from = 0, end; from < written; from = end) {
        end = block_end(from, written);
        begin_rise(&c, c_in_slice, id, first_element(slice), from);
        if (!are_right(slice->c, from, end, &c))
            return "c";
        set_lines(slice->c, from, end, &wiped);
    }
    return NULL;
}
