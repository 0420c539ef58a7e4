/* The bandwidth kernels: what they compute, what they count, what the check finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "bench/lib/stream.h"

#define COUNT 1003 /* no multiple of any vector's length */

static double a[COUNT + 1], b[COUNT + 1], c[COUNT + 1];
static const struct stream_arrays arrays = {a, b, c};

/* Runs rounds of all kernels, each `passes` times, on filled arrays; returns the last sum. */
static double run_rounds(size_t rounds, size_t passes) {
    double sum = 0;
    a[COUNT] = b[COUNT] = c[COUNT] = -7;
    stream_fill(&arrays, COUNT);
    for (size_t round = 0; round < rounds; round++)
        for (size_t k = 0; k < STREAM_KERNELS; k++)
            for (size_t pass = 0; pass < passes; pass++)
                sum = stream_kernels[k].run(&arrays, COUNT);
    return sum;
}

static void each_kernel_computes_its_formula(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        a[i] = (double)i;
        b[i] = 2.0 * (double)i + 1;
        c[i] = 5;
    }
    stream_kernels[0].run(&arrays, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(c[i] == (double)i);
    stream_kernels[2].run(&arrays, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(c[i] == 3.0 * (double)i + 1);
    stream_kernels[1].run(&arrays, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(fabs(b[i] - 0.42 * c[i]) < 1e-12 * (c[i] + 1));
    stream_kernels[3].run(&arrays, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_true(fabs(a[i] - 0.84 * c[i]) < 1e-12 * (c[i] + 1));
}

static void sum_adds_every_element_once(void **state) {
    (void)state;
    for (size_t count = 0; count <= 100; count++) {
        for (size_t i = 0; i < count; i++)
            a[i] = (double)(i + 1);
        double sum = stream_kernels[STREAM_SUM].run(&arrays, count);
        assert_true(sum == (double)(count * (count + 1) / 2));
    }
}

/* The bytes a row states are those of the arrays that its formula names. */
static void bytes_counted_follow_from_the_formula(void **state) {
    (void)state;
    for (size_t k = 0; k < STREAM_KERNELS; k++) {
        unsigned read = 0;
        const char *right = strchr(stream_kernels[k].formula, '=');
        assert_non_null(right);
        for (const char *at = right; *at != '\0'; at++)
            read += *at == 'a' || *at == 'b' || *at == 'c' ? 8 : 0;
        assert_int_equal(stream_kernels[k].bytes_read, read);
        assert_int_equal(stream_kernels[k].bytes_written, k == STREAM_SUM ? 0 : 8);
    }
}

static void right_results_pass_the_check(void **state) {
    (void)state;
    for (size_t rounds = 1; rounds <= 50; rounds += 7)
        for (size_t passes = 1; passes <= 3; passes++) {
            double sum = run_rounds(rounds, passes);
            assert_null(stream_check(&arrays, COUNT, rounds, sum));
        }
    double sum = run_rounds(1001, 1);
    assert_null(stream_check(&arrays, COUNT, 1001, sum));
}

static void kernels_stay_inside_their_slice(void **state) {
    (void)state;
    run_rounds(2, 1);
    assert_true(a[COUNT] == -7 && b[COUNT] == -7 && c[COUNT] == -7);
}

static void one_wrong_element_is_found(void **state) {
    double sum = run_rounds(3, 1);
    double *const each[] = {a, b, c};
    static const char *const names[] = {"a", "b", "c"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        double right = each[i][COUNT - 1];
        each[i][COUNT - 1] = right * (1 + 1e-9);
        assert_string_equal(stream_check(&arrays, COUNT, 3, sum), names[i]);
        each[i][COUNT - 1] = NAN;
        assert_string_equal(stream_check(&arrays, COUNT, 3, sum), names[i]);
        each[i][COUNT - 1] = right;
    }
    assert_null(stream_check(&arrays, COUNT, 3, sum));
}

static void a_left_out_round_is_found(void **state) {
    double sum = run_rounds(3, 1);
    (void)state;
    assert_non_null(stream_check(&arrays, COUNT, 4, sum));
    assert_non_null(stream_check(&arrays, COUNT, 2, sum));
}

static void a_wrong_sum_is_found(void **state) {
    double sum = run_rounds(3, 1);
    (void)state;
    assert_string_equal(stream_check(&arrays, COUNT, 3, sum * (1 - 1.0 / COUNT)), "sum");
    assert_string_equal(stream_check(&arrays, COUNT, 3, NAN), "sum");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kernel_computes_its_formula),
        cmocka_unit_test(sum_adds_every_element_once),
        cmocka_unit_test(bytes_counted_follow_from_the_formula),
        cmocka_unit_test(right_results_pass_the_check),
        cmocka_unit_test(kernels_stay_inside_their_slice),
        cmocka_unit_test(one_wrong_element_is_found),
        cmocka_unit_test(a_left_out_round_is_found),
        cmocka_unit_test(a_wrong_sum_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
