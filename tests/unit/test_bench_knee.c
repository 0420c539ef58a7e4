/* The knee of a loaded-latency curve, on made-up curves whose knee is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench/lib/knee.h"

#define COUNT(points) (sizeof(points) / sizeof(points)[0])

static void assert_near(double value, double expected, double tolerance) {
    if (value < expected - tolerance || value > expected + tolerance)
        fail_msg("%g is not within %g of %g", value, tolerance, expected);
}

static double knee_of(const struct knee_point *points, size_t count) {
    double bandwidth = -1;
    assert_true(knee_find(points, count, &bandwidth));
    return bandwidth;
}

/* A link of 100 GB/s: 80 ns until it is full, then the same bandwidth at any latency. */
static void flat_then_steep_gives_the_capacity(void **state) {
    const struct knee_point points[] = {{1, 80},   {20, 80},   {40, 80},   {60, 80},  {80, 80},
                                        {100, 80}, {100, 150}, {100, 400}, {100, 900}};
    (void)state;
    assert_near(knee_of(points, COUNT(points)), 100, 1e-9);
}

/* With no step on the capacity itself, the knee lies between the steps beside it. */
static void crossing_is_straight_between_two_steps(void **state) {
    const struct knee_point points[] = {{1, 100}, {50, 100}, {90, 100}, {100, 300}};
    (void)state;
    assert_near(knee_of(points, COUNT(points)), 92.5, 1e-9);
}

/* M/D/1 with an idle latency of 100 line times: the knee is at 100/101 of the capacity. */
static void queue_of_random_arrivals_gives_nearly_the_capacity(void **state) {
    static const double use[] = {0,   0.1,  0.2, 0.3,  0.4,  0.5,  0.6,  0.7,
                                 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995};
    struct knee_point points[COUNT(use)];
    (void)state;
    for (size_t i = 0; i < COUNT(use); i++)
        points[i] = (struct knee_point){100 * use[i], 100 + use[i] / (2 * (1 - use[i]))};
    assert_near(knee_of(points, COUNT(points)), 100 * 100.0 / 101, 0.2);
}

/* The victim alone uses half the link, and less of it the longer it waits. */
static void victim_that_gives_way_gives_the_capacity(void **state) {
    const struct knee_point points[] = {{32, 2000}, {38, 2050},   {50, 2100},
                                        {61, 2200}, {63, 2500},   {64, 3400},
                                        {64, 5000}, {63.5, 9000}, {64, 14000}};
    (void)state;
    assert_near(knee_of(points, COUNT(points)), 64, 1.5);
}

static void a_noisy_step_before_the_knee_does_not_move_it(void **state) {
    const struct knee_point points[] = {{1, 80},  {20, 84}, {40, 310},  {60, 79},
                                        {80, 83}, {99, 90}, {101, 700}, {98, 650}};
    (void)state;
    assert_near(knee_of(points, COUNT(points)), 99, 1);
}

static void a_noisy_step_beyond_the_knee_moves_it_little(void **state) {
    const struct knee_point points[] = {{1, 80},    {50, 81},   {97, 85},  {99, 500},
                                        {101, 110}, {100, 800}, {102, 900}};
    (void)state;
    assert_near(knee_of(points, COUNT(points)), 100, 3);
}

/* Beyond its knee a machine may also deliver less. */
static void bandwidth_that_falls_is_followed(void **state) {
    const struct knee_point points[] = {{1, 100}, {80, 110}, {100, 140}, {90, 240}, {85, 400}};
    (void)state;
    assert_near(knee_of(points, COUNT(points)), 99, 1e-9);
}

static void a_step_exactly_on_the_threshold_is_the_knee(void **state) {
    const struct knee_point points[] = {{1, 100}, {70, 120}, {90, 150}, {100, 300}};
    (void)state;
    assert_near(knee_of(points, COUNT(points)), 90, 1e-9);
}

static void no_knee_where_latency_never_rises(void **state) {
    const struct knee_point flat[] = {{1, 80}, {20, 81}, {40, 79}, {60, 119}};
    const struct knee_point spike[] = {{1, 80}, {20, 200}, {40, 79}, {60, 82}};
    double bandwidth = 7;
    (void)state;
    assert_false(knee_find(flat, COUNT(flat), &bandwidth));
    assert_false(knee_find(spike, COUNT(spike), &bandwidth));
    assert_true(bandwidth == 7);
}

static void no_knee_of_idle_alone(void **state) {
    const struct knee_point idle = {1, 80};
    double bandwidth = 7;
    (void)state;
    assert_false(knee_find(&idle, 1, &bandwidth));
    assert_false(knee_find(&idle, 0, &bandwidth));
    assert_true(bandwidth == 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flat_then_steep_gives_the_capacity),
        cmocka_unit_test(crossing_is_straight_between_two_steps),
        cmocka_unit_test(queue_of_random_arrivals_gives_nearly_the_capacity),
        cmocka_unit_test(victim_that_gives_way_gives_the_capacity),
        cmocka_unit_test(a_noisy_step_before_the_knee_does_not_move_it),
        cmocka_unit_test(a_noisy_step_beyond_the_knee_moves_it_little),
        cmocka_unit_test(bandwidth_that_falls_is_followed),
        cmocka_unit_test(a_step_exactly_on_the_threshold_is_the_knee),
        cmocka_unit_test(no_knee_where_latency_never_rises),
        cmocka_unit_test(no_knee_of_idle_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
