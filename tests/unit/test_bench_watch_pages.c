/* What `benchmark --watch` shows of pages that move, from made-up counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/watch_pages.h"

static const struct watch_pages_walk walk = {
    .elapsed_s = 2, .load_ns = 131.24, .cpu = 3, .node = 1};

/* 24 of 1024 pages have gone from node 0 to node 4; node 1 has none. */
static struct watch_pages moving(void) {
    struct watch_pages watch = {.looks = 2};
    watch.now.pages = watch.before.pages = 1024;
    watch.before.on_node[0] = 1024;
    watch.now.on_node[0] = 1000;
    watch.now.on_node[4] = 24;
    watch.shown[0] = watch.shown[1] = watch.shown[4] = true;
    return watch;
}

static void nodes_shown_of(const char *list, struct watch_pages *watch) {
    FILE *file = fmemopen((void *)(uintptr_t)list, strlen(list), "r");
    assert_non_null(file);
    *watch = (struct watch_pages){.looks = 0};
    watch_pages_show_nodes(watch, file);
    fclose(file);
}

static void every_node_of_a_list_is_shown(void **state) {
    (void)state;
    struct watch_pages watch;
    nodes_shown_of("0,2-3,1023\n", &watch);
    for (size_t node = 0; node < PLACEMENT_NODES; node++)
        assert_int_equal(watch.shown[node], node == 0 || node == 2 || node == 3 || node == 1023);
}

static void a_list_that_cannot_be_read_shows_none(void **state) {
    (void)state;
    static const char *const lists[] = {"\n", "x", "-1", "1024", "5000-6000,"};
    struct watch_pages watch;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        nodes_shown_of(lists[i], &watch);
        for (size_t node = 0; node < PLACEMENT_NODES; node++)
            assert_false(watch.shown[node]);
    }
}

/* What was written with `columns` 0 as a line, else in a terminal of that size; the caller's. */
static char *text_of(struct watch_pages *watch, unsigned columns, unsigned rows) {
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    if (columns == 0)
        watch_pages_line(watch, &walk, out);
    else
        watch_pages_rewrite(watch, &walk, out, columns, rows);
    fclose(out);
    return text;
}

static void a_line_tells_counts_and_changes(void **state) {
    (void)state;
    struct watch_pages watch = moving();
    char *text = text_of(&watch, 0, 0);
    assert_string_equal(text, "watch: 2.0 s N0=1000 (-24) N1=0 N4=24 (+24), "
                              "131.2 ns a load on CPU 3 (node 1)\n");
    free(text);
}

static void a_block_is_as_many_lines_as_it_later_goes_up(void **state) {
    (void)state;
    struct watch_pages watch = moving();
    watch.nowhere_shown = true;
    char *first = text_of(&watch, 80, 24), *second = text_of(&watch, 80, 24);
    size_t lines = 0;
    for (const char *at = first; *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 5);
    assert_int_equal(watch.lines, lines);
    assert_null(strstr(first, "\033[5A"));
    assert_ptr_equal(strstr(second, "\033[5A"), second);
    free(first);
    free(second);
}

static void no_row_reaches_the_last_column(void **state) {
    (void)state;
    struct watch_pages watch = moving();
    watch.now.on_node[0] = watch.now.pages; /* the longest bar */
    for (unsigned columns = 45; columns < 130; columns++) {
        char *text = text_of(&watch, columns, 24);
        for (char *row = strtok(text, "\n"); row != NULL; row = strtok(NULL, "\n")) {
            char *end = strstr(row, "\033[K");
            if (end != NULL)
                assert_true((size_t)(end - strrchr(row, '\r') - 1) < columns);
        }
        free(text);
    }
}

static void a_terminal_too_small_gets_lines(void **state) {
    (void)state;
    static const unsigned sizes[][2] = {{44, 24}, {1, 1}, {80, 4}, {80, 0}};
    struct watch_pages watch = moving();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        watch.lines = 4;
        char *text = text_of(&watch, sizes[i][0], sizes[i][1]);
        assert_null(strchr(text, '\033'));
        assert_int_equal(watch.lines, 0);
        free(text);
    }
}

static void a_first_look_has_no_change(void **state) {
    (void)state;
    static char block[64];
    static struct watch_pages watch;
    if (watch_pages_look(&watch, block, sizeof block) != 0) {
        print_message("this kernel does not say where pages are\n");
        skip();
    }
    assert_true(watch.now.pages > 0);
    assert_memory_equal(&watch.now, &watch.before, sizeof watch.now);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_of_a_list_is_shown),
        cmocka_unit_test(a_list_that_cannot_be_read_shows_none),
        cmocka_unit_test(a_line_tells_counts_and_changes),
        cmocka_unit_test(a_block_is_as_many_lines_as_it_later_goes_up),
        cmocka_unit_test(no_row_reaches_the_last_column),
        cmocka_unit_test(a_terminal_too_small_gets_lines),
        cmocka_unit_test(a_first_look_has_no_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
