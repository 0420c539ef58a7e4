/* Sizes and counts on a command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bench/lib/units.h"

static void size_suffixes_are_1024_based(void **state) {
    static const struct {
        const char *text;
        uint64_t size_bytes;
    } cases[] = {
        {"0", 0},
        {"4096", 4096},
        {"007", 7},
        {"64K", 65536},
        {"64k", 65536},
        {"256M", 268435456},
        {"3G", 3221225472},
        {"18446744073709551615", UINT64_MAX},
        {"17179869183G", 17179869183u * ((uint64_t)1 << 30)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t size_bytes = 1;
        assert_true(units_parse_size(cases[i].text, &size_bytes));
        assert_int_equal(size_bytes, cases[i].size_bytes);
    }
}

static void size_refuses_garbage_and_leaves_the_value(void **state) {
    static const char *const cases[] = {
        "",
        "K",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1.5G",
        "0x10",
        "1KK",
        "1KB",
        "1T",
        "M4",
        "four",
        "1e9",
        "18446744073709551616",
        "99999999999999999999999",
        "17179869184G",
        "18014398509481984K",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t size_bytes = 42;
        assert_false(units_parse_size(cases[i], &size_bytes));
        assert_int_equal(size_bytes, 42);
    }
}

static void count_keeps_to_its_range(void **state) {
    uint64_t value = 42;
    (void)state;
    assert_true(units_parse_count("1", 1, 3, &value));
    assert_int_equal(value, 1);
    assert_true(units_parse_count("3", 1, 3, &value));
    assert_int_equal(value, 3);
    assert_false(units_parse_count("0", 1, 3, &value));
    assert_false(units_parse_count("4", 1, 3, &value));
    assert_false(units_parse_count("2K", 1, 3000, &value));
    assert_false(units_parse_count("", 0, 3, &value));
    assert_false(units_parse_count("-0", 0, 3, &value));
    assert_int_equal(value, 3);
}

static void formatted_size_reads_back(void **state) {
    static const struct {
        uint64_t size_bytes;
        const char *text;
    } cases[] = {
        {0, "0"},
        {1000, "1000"},
        {1024, "1K"},
        {1536, "1536"},
        {268435456, "256M"},
        {(uint64_t)3 << 30, "3G"},
        {(uint64_t)1 << 50, "1048576G"},
        {UINT64_MAX, "18446744073709551615"},
    };
    char text[UNITS_SIZE_TEXT];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t size_bytes;
        assert_string_equal(units_format_size(cases[i].size_bytes, text), cases[i].text);
        assert_true(units_parse_size(text, &size_bytes));
        assert_int_equal(size_bytes, cases[i].size_bytes);
    }
}

static void figures_have_about_four_digits(void **state) {
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.064, "0.0640"}, {7.25, "7.25"}, {164.04, "164.0"}, {25189.4, "25189"}};
    char text[UNITS_FIGURE_TEXT];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(units_format_figure(cases[i].value, text), cases[i].text);
}

static void decimals_are_digits_and_one_point(void **state) {
    static const char *const bad[] = {"",
                                      ".5",
                                      "5.",
                                      "1.2.3",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1e3",
                                      "0x1",
                                      "1,5",
                                      "inf",
                                      "99999999999999999999"};
    double value = -1;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(units_parse_decimal(bad[i], &value));
    assert_true(value == -1);
    assert_true(units_parse_decimal("1", &value) && value == 1);
    assert_true(units_parse_decimal("0.25", &value) && value == 0.25);
    assert_true(units_parse_decimal("12.50", &value) && value == 12.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_digits_and_one_point),
        cmocka_unit_test(size_suffixes_are_1024_based),
        cmocka_unit_test(size_refuses_garbage_and_leaves_the_value),
        cmocka_unit_test(count_keeps_to_its_range),
        cmocka_unit_test(formatted_size_reads_back),
        cmocka_unit_test(figures_have_about_four_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
