/* Which misses the lab's pacing plugin takes for those of a stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness/lab/plugin/stream_detector.h"

enum { FAR = 1 << 20 };

static struct stream_detector detector;

static int forget(void **state) {
    (void)state;
    detector = (struct stream_detector){0};
    return 0;
}

static void the_third_neighbour_is_foreseen(void **state) {
    (void)state;
    assert_false(stream_detect(&detector, FAR));
    assert_false(stream_detect(&detector, FAR + 1));
    assert_false(stream_detect(&detector, FAR + 2));
    for (uint64_t line = FAR + 3; line < FAR + 1000; line++)
        assert_true(stream_detect(&detector, line));
}

static void streams_go_down_too(void **state) {
    (void)state;
    for (uint64_t line = FAR + 1000; line > FAR; line--)
        assert_int_equal(stream_detect(&detector, line), line <= FAR + 997);
}

static void a_line_to_and_fro_is_no_stream(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        assert_false(stream_detect(&detector, FAR + i % 2));
}

static void a_stream_may_skip_one_line_that_is_cached(void **state) {
    (void)state;
    for (uint64_t line = FAR; line < FAR + 10; line++)
        stream_detect(&detector, line);
    assert_true(stream_detect(&detector, FAR + 11));
    assert_false(stream_detect(&detector, FAR + 14));
}

static void as_many_streams_as_stated_are_followed(void **state) {
    (void)state;
    for (uint64_t line = 0; line < 100; line++)
        for (uint64_t stream = 1; stream <= STREAMS; stream++)
            assert_int_equal(stream_detect(&detector, stream * FAR + line), line > 2);
}

static void one_stream_more_is_too_many(void **state) {
    (void)state;
    for (uint64_t line = 0; line < 100; line++)
        for (uint64_t stream = 1; stream <= STREAMS + 1; stream++)
            assert_false(stream_detect(&detector, stream * FAR + line));
}

static void random_misses_between_do_not_end_a_stream(void **state) {
    uint64_t random = 1;

    (void)state;
    for (uint64_t line = FAR; line < FAR + 1000; line++) {
        assert_int_equal(stream_detect(&detector, line), line > FAR + 2);
        random = random * 6364136223846793005 + 1442695040888963407;
        assert_false(stream_detect(&detector, 2 * FAR + (random >> 33)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_third_neighbour_is_foreseen, forget),
        cmocka_unit_test_setup(streams_go_down_too, forget),
        cmocka_unit_test_setup(a_line_to_and_fro_is_no_stream, forget),
        cmocka_unit_test_setup(a_stream_may_skip_one_line_that_is_cached, forget),
        cmocka_unit_test_setup(as_many_streams_as_stated_are_followed, forget),
        cmocka_unit_test_setup(one_stream_more_is_too_many, forget),
        cmocka_unit_test_setup(random_misses_between_do_not_end_a_stream, forget),
    };

    return cmocka_run_group_tests_name("lab_stream_detector", tests, NULL, NULL);
}
