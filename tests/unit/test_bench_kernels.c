/* The bandwidth kernels: what they compute in every instruction set, what they count, what the
 * check finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/kernels.h"
#include "bench/lib/kernels_order.h"

#define MOST_LINES  2100 /* more than two of the blocks that are checked at a time */
#define GUARD_LINES 4    /* on either side of a slice */
#define EL          KERNEL_LINE_ELEMENTS
#define GUARD       (-7.25)

/* None, few, one more and one fewer than halves, thirds and batches come out even with. */
static const size_t sizes[] = {0,  1,  2,  3,   4,   5,   6,   7,   8,    11,   31,
                               63, 64, 65, 127, 128, 129, 257, 299, 1024, 1025, 2099};

static double *blocks[3]; /* a, b, c: GUARD_LINES, slice, GUARD_LINES */
static const size_t first_line = 1000;

static int get_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        blocks[i] = aligned_alloc(
            4096, (MOST_LINES + 2 * GUARD_LINES) * KERNEL_LINE_BYTES / 4096 * 4096 + 4096);
        if (blocks[i] == NULL)
            return -1;
    }
    return 0;
}

static int give_back_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++)
        free(blocks[i]);
    return 0;
}

static struct kernel_slice guarded_slice(size_t lines) {
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < (lines + 2 * GUARD_LINES) * EL; k++)
            blocks[i][k] = GUARD;
    struct kernel_slice slice = {
        .a = blocks[0] + GUARD_LINES * EL,
        .b = blocks[1] + GUARD_LINES * EL,
        .c = blocks[2] + GUARD_LINES * EL,
        .lines = lines,
        .first_line = first_line,
    };
    kernel_fill(&slice);
    return slice;
}

static void assert_guards_hold(size_t lines) {
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < GUARD_LINES * EL; k++) {
            assert_true(blocks[i][k] == GUARD);
            assert_true(blocks[i][(GUARD_LINES + lines) * EL + k] == GUARD);
        }
}

/* What is wrong after `passes` passes that returned `sum` together: "a", "b", "c", "sum", or NULL.
 */
static const char *check(enum kernel_id id, const struct kernel_slice *slice, uint64_t sum,
                         uint64_t passes) {
    const char *wrong = kernel_check_sources(slice);
    if (wrong == NULL)
        wrong = kernel_check_and_wipe(id, slice);
    return wrong != NULL || sum == passes * kernel_expected_sum(id, slice) ? wrong : "sum";
}

typedef void check_run(enum kernel_id id, kernel_run *run, enum kernel_isa isa);

/* Every kernel in every instruction set that this processor has; says which it lacks. */
static void for_each_run(check_run *check_one) {
    for (enum kernel_isa isa = 0; isa < KERNEL_ISAS; isa++) {
        const struct kernel_set *set = kernel_set(isa);
        if (set == NULL) {
            printf("  not on this processor: %s\n", kernel_isa_name(isa));
            continue;
        }
        for (enum kernel_id id = 0; id < KERNELS; id++)
            if (set->run[id] != NULL)
                check_one(id, set->run[id], isa);
    }
}

static void passes_its_check(enum kernel_id id, kernel_run *run, enum kernel_isa isa) {
    (void)isa;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct kernel_slice slice = guarded_slice(sizes[i]);
        uint64_t sum = 0;
        for (size_t pass = 0; pass < 3; pass++)
            sum += run(&slice);
        const char *wrong = check(id, &slice, sum, 3);
        if (wrong != NULL)
            print_error("%s, %s, %zu lines: %s\n", kernels[id].name, kernel_isa_name(isa), sizes[i],
                        wrong);
        assert_null(wrong);
        assert_guards_hold(sizes[i]);
    }
}

static void every_kernel_passes_its_check_and_stays_inside_its_slice(void **state) {
    (void)state;
    for_each_run(passes_its_check);
}

/* Bit by bit, from values whose products are not exact. */
static void agrees_with_scalar(enum kernel_id id, kernel_run *run, enum kernel_isa isa) {
    static double expected[MOST_LINES * EL];
    kernel_run *scalar = kernel_set(KERNEL_ISA_SCALAR)->run[id];
    (void)isa;
    if (scalar == NULL)
        return;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct kernel_slice slice = guarded_slice(sizes[i]);
        size_t elements = sizes[i] * EL;
        for (size_t k = 0; k < elements; k++) {
            slice.a[k] = sqrt((double)k + 2);
            slice.b[k] = 1e-3 / ((double)k + 3);
        }
        uint64_t sum = scalar(&slice);
        memcpy(expected, slice.c, elements * sizeof(double));
        kernel_wipe(&slice);
        assert_int_equal(run(&slice), sum);
        assert_memory_equal(slice.c, expected, elements * sizeof(double));
    }
}

static void every_instruction_set_gives_the_same_bits(void **state) {
    (void)state;
    for_each_run(agrees_with_scalar);
}

/* The scalar kernels against their formulas in words of this test. */
static void scalar_kernels_compute_their_formulas(void **state) {
    const struct kernel_set *set = kernel_set(KERNEL_ISA_SCALAR);
    struct kernel_slice slice = guarded_slice(13);
    (void)state;
    set->run[KERNEL_WRITE](&slice);
    for (size_t i = 0; i < 13 * EL; i++)
        assert_true(slice.c[i] == 0.5);
    set->run[KERNEL_COPY](&slice);
    for (size_t i = 0; i < 13 * EL; i++)
        assert_true(slice.c[i] == slice.a[i]);
    set->run[KERNEL_SCALE](&slice);
    for (size_t i = 0; i < 13 * EL; i++)
        assert_true(slice.c[i] == 0.5 * slice.a[i]);
    set->run[KERNEL_ADD](&slice);
    for (size_t i = 0; i < 13 * EL; i++)
        assert_true(slice.c[i] == slice.a[i] + slice.b[i]);
    set->run[KERNEL_TRIAD](&slice);
    for (size_t i = 0; i < 13 * EL; i++)
        assert_true(slice.c[i] == slice.a[i] + 0.5 * slice.b[i]);
    kernel_wipe(&slice);
    double wiped = slice.c[0];
    set->run[KERNEL_MIX_3_1](&slice);
    for (size_t i = 0; i < 13 * EL; i++) {
        const double *from = slice.a + i / EL * 3 * EL + i % EL;
        assert_true(slice.c[i] == (i < 4 * EL ? from[0] + from[EL] + from[2 * EL] : wiped));
    }
    set->run[KERNEL_MIX_2_1](&slice);
    for (size_t i = 0; i < 6 * EL; i++) {
        const double *from = slice.a + i / EL * 2 * EL + i % EL;
        assert_true(slice.c[i] == from[0] + from[EL]);
    }
    uint64_t words = 0;
    for (size_t i = 0; i < 13 * EL; i++) {
        uint64_t word;
        memcpy(&word, &slice.a[i], sizeof word);
        words += word;
    }
    assert_int_equal(set->run[KERNEL_READ](&slice), words);
    assert_int_equal(set->run[KERNEL_READ_RANDOM](&slice), words);
}

/* A copy that stops a line early. */
static uint64_t copy_but_the_last_line(const struct kernel_slice *slice) {
    struct kernel_slice shorter = *slice;
    shorter.lines--;
    return kernel_set(KERNEL_ISA_SCALAR)->run[KERNEL_COPY](&shorter);
}

/* A copy of one line over and over. */
static uint64_t copy_the_first_line(const struct kernel_slice *slice) {
    for (size_t i = 0; i < slice->lines * EL; i++)
        slice->c[i] = slice->a[i % EL];
    return 0;
}

static void broken_copies_are_found(void **state) {
    struct kernel_slice slice = guarded_slice(100);
    (void)state;
    assert_string_equal(check(KERNEL_COPY, &slice, 0, 1), "c"); /* never ran */
    copy_but_the_last_line(&slice);
    assert_string_equal(check(KERNEL_COPY, &slice, 0, 1), "c");
    copy_the_first_line(&slice);
    assert_string_equal(check(KERNEL_COPY, &slice, 0, 1), "c");
    kernel_set(KERNEL_ISA_SCALAR)->run[KERNEL_COPY](&slice);
    assert_null(check(KERNEL_COPY, &slice, 0, 1));
    kernel_wipe(&slice);
    assert_string_equal(check(KERNEL_COPY, &slice, 0, 1), "c"); /* wiped, then skipped */
}

static void no_kernel_passes_for_one_that_was_skipped(void **state) {
    (void)state;
    for (enum kernel_id id = 0; id < KERNELS; id++) {
        struct kernel_slice slice = guarded_slice(50);
        assert_non_null(check(id, &slice, 0, 1));
    }
}

static void one_wrong_element_is_found(void **state) {
    (void)state;
    for (enum kernel_id id = 0; id < KERNELS; id++) {
        kernel_run *run = kernel_set(KERNEL_ISA_SCALAR)->run[id];
        struct kernel_slice slice = guarded_slice(12);
        if (run == NULL)
            continue;
        uint64_t sum = run(&slice);
        double *const each[] = {slice.a, slice.b, slice.c};
        static const char *const names[] = {"a", "b", "c"};
        size_t last = 12 / kernels[id].step_lines * EL - 1;
        for (size_t i = 0; i < (kernels[id].bytes_written > 0 ? 3 : 2); i++) {
            double right = each[i][last];
            each[i][last] = nextafter(right, INFINITY);
            assert_string_equal(check(id, &slice, sum, 1), names[i]);
            each[i][last] = NAN;
            assert_string_equal(check(id, &slice, sum, 1), names[i]);
            each[i][last] = right;
        }
        assert_null(check(id, &slice, sum, 1));
    }
}

/* Wherever in a line and in whichever block it is; the last one too. */
static void wrong_elements_are_found_everywhere(void **state) {
    enum { LINES = 2052, STEP = 7 };
    _Static_assert((LINES * EL - 1) % STEP == 0, "ends with the last element");
    struct kernel_slice slice = guarded_slice(LINES);
    double *const each[] = {slice.a, slice.b, slice.c};
    static const char *const names[] = {"a", "b", "c"};
    kernel_run *triad = kernel_set(KERNEL_ISA_SCALAR)->run[KERNEL_TRIAD];
    (void)state;
    for (size_t at = 0; at < LINES * EL; at += STEP)
        for (size_t i = 0; i < 3; i++) {
            triad(&slice);
            double right = each[i][at];
            each[i][at] = nextafter(right, INFINITY);
            assert_string_equal(check(KERNEL_TRIAD, &slice, 0, 1), names[i]);
            each[i][at] = right;
        }
    triad(&slice);
    assert_null(check(KERNEL_TRIAD, &slice, 0, 1));
}

static void a_check_leaves_c_wiped(void **state) {
    struct kernel_slice slice = guarded_slice(2051);
    static double wiped[2051 * EL];
    (void)state;
    memcpy(wiped, slice.c, sizeof wiped);
    for (enum kernel_id id = 0; id < KERNELS; id++) {
        kernel_run *run = kernel_set(KERNEL_ISA_SCALAR)->run[id];
        if (run == NULL)
            continue;
        run(&slice);
        assert_null(kernel_check_and_wipe(id, &slice));
        assert_memory_equal(slice.c, wiped, sizeof wiped);
    }
}

static void a_wrong_sum_is_found(void **state) {
    struct kernel_slice slice = guarded_slice(77);
    uint64_t sum = kernel_set(KERNEL_ISA_SCALAR)->run[KERNEL_READ](&slice);
    (void)state;
    assert_null(check(KERNEL_READ, &slice, 5 * sum, 5));
    assert_string_equal(check(KERNEL_READ, &slice, 4 * sum, 5), "sum");
    assert_string_equal(check(KERNEL_READ, &slice, 5 * sum + 1, 5), "sum");
    /* One line was read for another. */
    double line[EL];
    memcpy(line, slice.a, sizeof line);
    memcpy(slice.a, slice.a + 40 * EL, sizeof line);
    uint64_t other = kernel_set(KERNEL_ISA_SCALAR)->run[KERNEL_READ](&slice);
    memcpy(slice.a, line, sizeof line);
    assert_string_equal(check(KERNEL_READ, &slice, other, 1), "sum");
}

static void random_order_has_every_line_once(void **state) {
    static unsigned char seen[5000];
    (void)state;
    for (uint64_t lines = 0; lines < 5000; lines = lines < 140 ? lines + 1 : lines + 611) {
        struct kernel_order order = kernel_order_start(lines);
        struct kernel_batch batch;
        uint64_t count = 0;
        memset(seen, 0, sizeof seen);
        do {
            kernel_order_next(&order, &batch);
            for (size_t i = 0; i < batch.count; i++) {
                assert_true(batch.lines[i] < lines);
                assert_int_equal(seen[batch.lines[i]]++, 0);
            }
            count += batch.count;
        } while (!kernel_order_done(&order));
        assert_int_equal(count, lines);
    }
}

/* A prefetcher follows steps that repeat or are short. */
static void random_order_has_no_steps_to_follow(void **state) {
    enum { LINES = 1 << 16 };
    static unsigned short steps[2 * LINES];
    struct kernel_order order = kernel_order_start(LINES);
    struct kernel_batch batch;
    int64_t before = 0;
    unsigned most = 0, close = 0;
    (void)state;
    do {
        kernel_order_next(&order, &batch);
        for (size_t i = 0; i < batch.count; i++) {
            int64_t step = (int64_t)batch.lines[i] - before;
            unsigned times = ++steps[step + LINES];
            most = times > most ? times : most;
            close += step >= -8 && step <= 8 ? 1 : 0;
            before = (int64_t)batch.lines[i];
        }
    } while (!kernel_order_done(&order));
    assert_true(most < LINES / 100);
    assert_true(close < LINES / 100);
}

/* What a row counts is what its formula names. */
static void bytes_counted_follow_from_the_formula(void **state) {
    (void)state;
    for (enum kernel_id id = 0; id < KERNELS; id++) {
        const struct kernel *kernel = &kernels[id];
        unsigned read = 0, written = kernel->stores == KERNEL_NO_STORES ? 0 : 64;
        const char *right = strchr(kernel->formula, '=');
        if (right == NULL)
            continue; /* the mixes, in words */
        for (const char *at = right; *at != '\0' && *at != ','; at++)
            read += *at == 'a' || *at == 'b' ? 64 : 0;
        assert_int_equal(kernel->bytes_read, read);
        assert_int_equal(kernel->bytes_written, written);
        assert_int_equal(kernel->streams, (read + written) / 64);
    }
}

static void mixes_read_and_write_lines_as_their_names_say(void **state) {
    (void)state;
    for (enum kernel_id id = 0; id < KERNELS; id++) {
        unsigned read, written;
        if (sscanf(kernels[id].name, "mix-%u:%u", &read, &written) != 2)
            continue;
        assert_int_equal(kernels[id].bytes_read, 64 * read);
        assert_int_equal(kernels[id].bytes_written, 64 * written);
        assert_int_equal(kernels[id].step_lines, read);
    }
}

static void only_ordinary_stores_allocate(void **state) {
    (void)state;
    for (enum kernel_id id = 0; id < KERNELS; id++) {
        const struct kernel *kernel = &kernels[id];
        bool nt = strstr(kernel->name, "-nt") != NULL;
        assert_int_equal(kernel->stores == KERNEL_NON_TEMPORAL, nt);
        assert_int_equal(kernel->bytes_allocated,
                         kernel->stores == KERNEL_ORDINARY ? kernel->bytes_written : 0);
    }
}

static void traffic_counts_whole_steps(void **state) {
    struct kernel_traffic traffic = kernel_traffic(&kernels[KERNEL_MIX_3_1], 11);
    (void)state;
    assert_int_equal(traffic.read, 9 * 64);
    assert_int_equal(traffic.written, 3 * 64);
    assert_int_equal(traffic.allocated, 3 * 64);
    traffic = kernel_traffic(&kernels[KERNEL_TRIAD_NT], 11);
    assert_int_equal(traffic.read, 22 * 64);
    assert_int_equal(traffic.written, 11 * 64);
    assert_int_equal(traffic.allocated, 0);
}

static void widest_instruction_set_is_available_and_has_every_kernel_but_string(void **state) {
    enum kernel_isa widest = kernel_widest_isa();
    (void)state;
    assert_true(widest != KERNEL_ISA_STRING);
    assert_non_null(kernel_set(widest));
    for (enum kernel_id id = 0; id < KERNELS; id++)
        if (kernels[id].stores == KERNEL_NO_STORES || kernels[id].stores == KERNEL_ORDINARY)
            assert_non_null(kernel_set(widest)->run[id]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_passes_its_check_and_stays_inside_its_slice),
        cmocka_unit_test(every_instruction_set_gives_the_same_bits),
        cmocka_unit_test(scalar_kernels_compute_their_formulas),
        cmocka_unit_test(broken_copies_are_found),
        cmocka_unit_test(no_kernel_passes_for_one_that_was_skipped),
        cmocka_unit_test(one_wrong_element_is_found),
        cmocka_unit_test(wrong_elements_are_found_everywhere),
        cmocka_unit_test(a_check_leaves_c_wiped),
        cmocka_unit_test(a_wrong_sum_is_found),
        cmocka_unit_test(random_order_has_every_line_once),
        cmocka_unit_test(random_order_has_no_steps_to_follow),
        cmocka_unit_test(bytes_counted_follow_from_the_formula),
        cmocka_unit_test(mixes_read_and_write_lines_as_their_names_say),
        cmocka_unit_test(only_ordinary_stores_allocate),
        cmocka_unit_test(traffic_counts_whole_steps),
        cmocka_unit_test(widest_instruction_set_is_available_and_has_every_kernel_but_string),
    };
    return cmocka_run_group_tests(tests, get_memory, give_back_memory);
}
