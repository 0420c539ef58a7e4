/* The number of threads that saturates memory, from made-up machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench/lib/saturation.h"

static void the_fewest_threads_within_the_precision_are_found(void **state) {
    static const struct saturation_point points[] = {
        {1, 25}, {2, 50}, {4, 99.5}, {8, 100}, {16, 98}, {3, 75},
    };
    (void)state;
    assert_int_equal(saturation_find(points, 6, 0.01), 2);
    assert_int_equal(saturation_find(points, 6, 0.001), 3);
    assert_int_equal(saturation_find(points, 6, 0.6), 1);
    assert_int_equal(saturation_find(points, 1, 0.01), 0);
}

/* Threads measured in the order of a run: 1, 2, 4, ... most, then what saturation_next says.
 * Returns the answer; *stages: how many numbers were measured. */
static unsigned search(double one, double most, unsigned threads, size_t *stages) {
    struct saturation_point points[64];
    size_t count = 0;
    for (unsigned n = 1;; n = 2 * n < threads ? 2 * n : threads) {
        points[count++] = (struct saturation_point){n, n * one < most ? n * one : most};
        if (n == threads)
            break;
    }
    for (unsigned n; (n = saturation_next(points, count, 0.01)) != 0;)
        points[count++] = (struct saturation_point){n, n * one < most ? n * one : most};
    *stages = count;
    return points[saturation_find(points, count, 0.01)].threads;
}

/* 10 GB/s a thread until so many have all there is. */
static void search_ends_at_the_number_that_saturates(void **state) {
    size_t stages;
    (void)state;
    for (unsigned cpus = 1; cpus <= 300; cpus += cpus < 40 ? 1 : 37)
        for (unsigned enough = 1; enough <= cpus; enough++) {
            unsigned least = enough;
            while (least > 1 && 10.0 * (least - 1) >= 10.0 * enough * 0.99)
                least--;
            assert_int_equal(search(10, 10.0 * enough, cpus, &stages), least);
            assert_true(stages <= 20);
        }
}

static void neighbours_need_no_further_measurement(void **state) {
    static const struct saturation_point points[] = {{1, 10}, {2, 10.01}, {4, 10}};
    static const struct saturation_point steps[] = {{4, 40}, {3, 30}, {8, 40}};
    (void)state;
    assert_int_equal(saturation_next(points, 3, 0.01), 0);
    assert_int_equal(saturation_next(steps, 3, 0.01), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fewest_threads_within_the_precision_are_found),
        cmocka_unit_test(search_ends_at_the_number_that_saturates),
        cmocka_unit_test(neighbours_need_no_further_measurement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
