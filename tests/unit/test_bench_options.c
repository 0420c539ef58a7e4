/* The option table: parsing, checking, help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "bench/lib/options.h"

struct values {
    struct option_value help, size, samples;
};

/* Parses "program" and the given words; error is "" on success. */
static bool parse(struct values *values, char error[OPTIONS_ERROR], size_t words, ...) {
    const struct option_row rows[] = {
        {"help", NULL, "this text", OPTION_FLAG, 0, 0, &values->help},
        {"size", "SIZE", "bytes", OPTION_SIZE, 512, 1 << 20, &values->size},
        {"samples", "N", "how many", OPTION_COUNT, 1, 9, &values->samples},
    };
    static char program[] = "program";
    char *argv[8] = {program};
    va_list list;
    va_start(list, words);
    for (size_t i = 1; i <= words; i++)
        argv[i] = va_arg(list, char *);
    va_end(list);
    *values = (struct values){.samples.value = 5};
    error[0] = '\0';
    return options_parse(rows, 3, (int)words + 1, argv, error);
}

static void values_and_defaults(void **state) {
    struct values values;
    char error[OPTIONS_ERROR];
    (void)state;
    assert_true(parse(&values, error, 0));
    assert_false(values.samples.given);
    assert_int_equal(values.samples.value, 5);
    assert_true(parse(&values, error, 3, "--size", "64K", "--samples=7"));
    assert_true(values.size.given && values.samples.given && !values.help.given);
    assert_int_equal(values.size.value, 65536);
    assert_int_equal(values.samples.value, 7);
}

static void words_are_kept_in_order_between_the_options(void **state) {
    struct option_value csv = {0}, count = {0};
    const struct option_row rows[] = {
        {"csv", NULL, "rows", OPTION_FLAG, 0, 0, &csv},
        {"count", "N", "how many", OPTION_COUNT, 1, 9, &count},
    };
    char error[OPTIONS_ERROR], program[] = "program", first[] = "first", option[] = "--count",
                               value[] = "3", second[] = "second", flag[] = "--csv",
                               third[] = "third";
    char *argv[] = {program, first, option, value, second, flag, third, NULL};
    const char *list[7];
    struct option_words words = {.list = list};
    (void)state;
    assert_true(options_parse_words(rows, 2, 7, argv, &words, error));
    assert_int_equal(words.count, 3);
    assert_string_equal(list[0], "first");
    assert_string_equal(list[1], "second");
    assert_string_equal(list[2], "third");
    assert_true(csv.given && count.value == 3);
    assert_false(options_parse(rows, 2, 7, argv, error));
    assert_non_null(strstr(error, "first"));
}

static void last_of_a_repeated_option_counts(void **state) {
    struct values values;
    char error[OPTIONS_ERROR];
    (void)state;
    assert_true(parse(&values, error, 4, "--samples", "2", "--samples", "3"));
    assert_int_equal(values.samples.value, 3);
}

static void text_is_left_to_the_program(void **state) {
    struct option_value list = {0};
    const struct option_row rows[] = {{"list", "LIST", "any", OPTION_TEXT, 0, 0, &list}};
    char error[OPTIONS_ERROR], program[] = "program", option[] = "--list", value[] = "1-3,x";
    char *argv[] = {program, option, value, NULL};
    (void)state;
    assert_true(options_parse(rows, 1, 3, argv, error));
    assert_true(list.given);
    assert_string_equal(list.text, "1-3,x");
}

static void short_h_is_help(void **state) {
    struct values values;
    char error[OPTIONS_ERROR];
    (void)state;
    assert_true(parse(&values, error, 1, "-h"));
    assert_true(values.help.given);
}

/* Each complaint names the word that is wrong and is one line. */
static void bad_words_are_named(void **state) {
    struct values values;
    char error[OPTIONS_ERROR];
    static char *const cases[][3] = {
        {"--size", "12Q", "--size: '12Q'"}, {"--size", "511", "from 512 to 1M"},
        {"--size", "2M", "'2M'"},           {"--samples", "0", "from 1 to 9"},
        {"--samples", "10", "'10'"},        {"--samples", "x\ny", "--samples"},
        {"--help", "--bogus", "--bogus"},   {"--help", "-x", "-x"},
        {"--help", "--help=3", "--help=3"}, {"--help", "stray", "stray"},
        {"--help", "--size", "--size"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(parse(&values, error, 2, cases[i][0], cases[i][1]));
        assert_non_null(strstr(error, cases[i][2]));
        assert_null(strchr(error, '\n'));
    }
}

static void help_names_every_option(void **state) {
    struct values values;
    const struct option_row rows[] = {
        {"cpu", "N", "first line\nsecond line", OPTION_COUNT, 0, 9, &values.samples},
        {"help", NULL, "this text", OPTION_FLAG, 0, 0, &values.help},
    };
    char text[512] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    (void)state;
    assert_non_null(out);
    options_help(out, rows, 2);
    fclose(out);
    assert_string_equal(text, "  --cpu N              first line\n"
                              "                       second line\n"
                              "  --help               this text\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_defaults),
        cmocka_unit_test(words_are_kept_in_order_between_the_options),
        cmocka_unit_test(last_of_a_repeated_option_counts),
        cmocka_unit_test(text_is_left_to_the_program),
        cmocka_unit_test(short_h_is_help),
        cmocka_unit_test(bad_words_are_named),
        cmocka_unit_test(help_names_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
