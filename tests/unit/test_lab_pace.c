/* The arithmetic of the virtual machine's pacing plugin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness/lab/plugin/pace_model.h"

static void an_early_access_waits_one_latency_after_the_previous(void **state) {
    uint64_t owed = 0;

    (void)state;
    assert_int_equal(pace_end(5000, 5400, 1000, &owed), 6000);
    assert_int_equal(pace_end(5000, 6000, 1000, &owed), 6000);
}

static void a_late_access_does_not_wait(void **state) {
    uint64_t owed = 0;

    (void)state;
    assert_int_equal(pace_end(5000, 6001, 1000, &owed), 6001);
    assert_int_equal(pace_end(0, 900000, 1000, &owed), 900000);
}

static void what_is_owed_is_paid_from_the_waiting(void **state) {
    uint64_t owed = 1000;

    (void)state;
    assert_int_equal(pace_end(5000, 5400, 1000, &owed), 5400);
    assert_int_equal(owed, 400);
    assert_int_equal(pace_end(5400, 5800, 1000, &owed), 6000);
    assert_int_equal(owed, 0);
    assert_int_equal(pace_end(6000, 6400, 1000, &owed), 7000);
}

static void a_late_access_pays_nothing(void **state) {
    uint64_t owed = 500;

    (void)state;
    assert_int_equal(pace_end(5000, 7000, 1000, &owed), 7000);
    assert_int_equal(owed, 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_early_access_waits_one_latency_after_the_previous),
        cmocka_unit_test(a_late_access_does_not_wait),
        cmocka_unit_test(what_is_owed_is_paid_from_the_waiting),
        cmocka_unit_test(a_late_access_pays_nothing),
    };

    return cmocka_run_group_tests_name("vm_pace", tests, NULL, NULL);
}
