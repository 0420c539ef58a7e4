/* Moving pages: lists and batches, what is moved by which step, and what the kernel is asked. The
 * kernel's part runs on one node, where a move is one to where the page is; the lab has two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/migration.h"

static void lists_of_batches_are_read(void **state) {
    (void)state;
    struct migration_batches batches;
    assert_true(migration_parse_batches("1,64,all", &batches));
    assert_int_equal(batches.count, 3);
    assert_int_equal(batches.pages[0], 1);
    assert_int_equal(batches.pages[1], 64);
    assert_true(batches.pages[2] == MIGRATION_ALL);
    assert_true(migration_parse_batches("all", &batches));
    assert_int_equal(batches.count, 1);
    assert_true(migration_parse_batches("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", &batches));
    assert_int_equal(batches.count, 16);
}

static void other_lists_of_batches_are_refused(void **state) {
    (void)state;
    static const char *const lists[] = {"",
                                        ",",
                                        "1,",
                                        ",1",
                                        "0",
                                        "-1",
                                        "x",
                                        "1 ,2",
                                        "1K",
                                        "All",
                                        "alle",
                                        "1,,2",
                                        "18446744073709551615",
                                        "99999999999999999999999999",
                                        "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"};
    struct migration_batches batches = {.count = 7};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        assert_false(migration_parse_batches(lists[i], &batches));
    assert_int_equal(batches.count, 7);
}

static void batches_as_large_as_the_memory_are_one(void **state) {
    (void)state;
    struct migration_batches asked, fitted;
    assert_true(migration_parse_batches("1,8,64,512,all", &asked));
    migration_fit_batches(&asked, 64, &fitted);
    assert_int_equal(fitted.count, 3);
    assert_int_equal(fitted.pages[1], 8);
    assert_true(fitted.pages[2] == MIGRATION_ALL);
    migration_fit_batches(&asked, 65, &fitted);
    assert_int_equal(fitted.count, 4);
    migration_fit_batches(&asked, 1, &fitted);
    assert_int_equal(fitted.count, 1);
}

static void variants_name_call_and_batch(void **state) {
    (void)state;
    char text[MIGRATION_VARIANT_TEXT];
    assert_string_equal(migration_variant(MIGRATION_MBIND, 64, text), "mbind/64");
    assert_string_equal(migration_variant(MIGRATION_MOVE_PAGES, MIGRATION_ALL, text),
                        "move_pages/all");
    assert_string_equal(migration_variant(MIGRATION_MOVE_PAGES, SIZE_MAX - 1, text),
                        "move_pages/18446744073709551614");
}

static void names_are_read_as_bits(void **state) {
    (void)state;
    unsigned chosen = 99;
    assert_true(migration_parse_names("mbind", migration_call_names, MIGRATION_CALLS, &chosen));
    assert_int_equal(chosen, 1 << MIGRATION_MBIND);
    assert_true(migration_parse_names("mbind,move_pages,mbind", migration_call_names,
                                      MIGRATION_CALLS, &chosen));
    assert_int_equal(chosen, 3);
    static const char *const lists[] = {"", ",", "mbind,", "MBIND", "mbind x", "move"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        assert_false(
            migration_parse_names(lists[i], migration_call_names, MIGRATION_CALLS, &chosen));
    assert_int_equal(chosen, 3);
}

static void counters_are_found_by_name(void **state) {
    (void)state;
    char vmstat[] = "nr_free_pages 7\npgmigrate_success 42\npgmigrate_fail 3\n"
                    "thp_migration_success 5\nthp_split_page_failed 8\nthp_split_page 9\n";
    uint64_t counters[MIGRATION_COUNTERS];
    FILE *file = fmemopen(vmstat, strlen(vmstat), "r");
    assert_non_null(file);
    migration_read_counters(file, counters);
    fclose(file);
    assert_int_equal(counters[MIGRATION_MOVED], 42);
    assert_int_equal(counters[MIGRATION_STAYED], 3);
    assert_int_equal(counters[MIGRATION_HUGE_MOVED], 5);
    assert_int_equal(counters[MIGRATION_HUGE_SPLIT], 0);
    assert_int_equal(counters[MIGRATION_SPLIT], 9);
}

/* A node that this process has memory on; skips the test where the kernel moves no pages. */
static int own_node(void) {
    for (int node = 0; node < 1024; node++) {
        int error = migration_try_call(MIGRATION_MOVE_PAGES, node);
        if (error == 0 && migration_try_call(MIGRATION_MBIND, node) == 0)
            return node;
        if (error == EPERM || error == ENOSYS)
            break;
    }
    print_message("this kernel moves no pages for us\n");
    skip();
    return -1;
}

static struct migration_memory ten_pages(int node) {
    struct migration_memory memory;
    const char *why;
    const int nodes[2] = {node, node};
    assert_true(migration_map(&memory, PAGE_BASE, 10 * page_kind_bytes(PAGE_BASE), nodes, &why));
    assert_int_equal(memory.pages, 10);
    return memory;
}

static void a_shuttle_asks_for_every_page_and_turns_round(void **state) {
    (void)state;
    struct migration_memory memory = ten_pages(own_node());
    static const size_t wanted[] = {4, 4, 2, 4, 4, 2, 4};
    for (int call = 0; call < MIGRATION_CALLS; call++) {
        struct migration_shuttle shuttle = {&memory, (enum migration_call)call, 4, 1, 0};
        int error;
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
            assert_int_equal(shuttle.to, i / 3 % 2 == 0);
            assert_int_equal(migration_step(&shuttle, &error), wanted[i]);
            assert_int_equal(error, 0);
        }
        assert_int_equal(shuttle.next, 4);
    }
    migration_unmap(&memory);
}

static void one_step_takes_all(void **state) {
    (void)state;
    struct migration_memory memory = ten_pages(own_node());
    struct migration_shuttle shuttle = {&memory, MIGRATION_MOVE_PAGES, MIGRATION_ALL, 1, 0};
    int error;
    assert_int_equal(migration_step(&shuttle, &error), 10);
    assert_int_equal(shuttle.next, 0);
    for (size_t page = 0; page < 10; page++)
        assert_int_equal(memory.status[page], memory.nodes[0]);
    migration_unmap(&memory);
}

static void pages_that_are_there_have_arrived(void **state) {
    (void)state;
    struct migration_memory memory = ten_pages(own_node());
    assert_int_equal(migration_bring(&memory, 0), 0);
    struct migration_arrival arrival = migration_ask(&memory, 10, 0, true);
    assert_true(arrival.told);
    assert_true(arrival.fraction > 0.999);
    assert_int_equal(arrival.error, 0);
    migration_unmap(&memory);
}

static void a_page_that_stays_behind_is_told_with_its_reason(void **state) {
    (void)state;
    struct migration_memory memory = ten_pages(own_node());
    memory.nodes[1] = memory.nodes[0] == 1023 ? 1022 : 1023; /* where no page can be */
    memory.status[3] = -ENOMEM;
    struct migration_arrival arrival = migration_ask(&memory, 10, 1, true);
    assert_true(arrival.fraction < 0.001);
    assert_int_equal(arrival.error, ENOMEM);
    arrival = migration_ask(&memory, 3, 1, true);
    assert_int_equal(arrival.error, 0);
    migration_unmap(&memory);
}

static void a_look_counts_pages_that_were_elsewhere_at_the_last(void **state) {
    (void)state;
    struct migration_memory memory = ten_pages(own_node());
    struct migration_changes changes = {0};
    migration_look(&memory, 0, 10, &changes);
    assert_int_equal(changes.moved, 0);
    assert_int_equal(changes.not_known, 10); /* nobody has looked before */
    changes = (struct migration_changes){0};
    migration_look(&memory, 0, 10, &changes);
    assert_int_equal(changes.moved + changes.not_known, 0);
    memory.found[3] = memory.found[9] = 1023;
    migration_look(&memory, 0, 9, &changes);
    assert_int_equal(changes.moved, 1);
    migration_look(&memory, 0, 10, &changes);
    assert_int_equal(changes.moved, 2);
    assert_int_equal(changes.not_known, 0);
    migration_unmap(&memory);
}

static void pages_that_are_there_already_are_asked_for_but_not_moved(void **state) {
    (void)state;
    struct migration_memory memory = ten_pages(own_node());
    struct migration_changes changes = {0};
    assert_int_equal(migration_bring(&memory, 0), 0);
    migration_look(&memory, 0, 10, &changes);
    changes = (struct migration_changes){0};
    for (int call = 0; call < MIGRATION_CALLS; call++) {
        struct migration_shuttle shuttle = {&memory, (enum migration_call)call, 10, 1, 0};
        int error;
        assert_int_equal(migration_step(&shuttle, &error), 10);
        migration_look(&memory, 0, 10, &changes);
    }
    assert_int_equal(changes.moved + changes.not_known, 0);
    migration_unmap(&memory);
}

static void a_node_that_is_not_there_is_an_error(void **state) {
    (void)state;
    struct migration_memory memory = ten_pages(own_node());
    memory.nodes[1] = 1023;
    for (size_t page = 0; page < memory.pages; page++)
        memory.targets[1][page] = 1023;
    for (int call = 0; call < MIGRATION_CALLS; call++) {
        struct migration_shuttle shuttle = {&memory, (enum migration_call)call, 4, 1, 0};
        int error = 0;
        assert_int_equal(migration_step(&shuttle, &error), 0);
        assert_int_not_equal(error, 0);
        assert_int_equal(shuttle.next, 0);
    }
    assert_int_not_equal(migration_bring(&memory, 1), 0);
    migration_unmap(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_batches_are_read),
        cmocka_unit_test(other_lists_of_batches_are_refused),
        cmocka_unit_test(batches_as_large_as_the_memory_are_one),
        cmocka_unit_test(variants_name_call_and_batch),
        cmocka_unit_test(names_are_read_as_bits),
        cmocka_unit_test(counters_are_found_by_name),
        cmocka_unit_test(a_shuttle_asks_for_every_page_and_turns_round),
        cmocka_unit_test(one_step_takes_all),
        cmocka_unit_test(pages_that_are_there_have_arrived),
        cmocka_unit_test(a_page_that_stays_behind_is_told_with_its_reason),
        cmocka_unit_test(a_look_counts_pages_that_were_elsewhere_at_the_last),
        cmocka_unit_test(pages_that_are_there_already_are_asked_for_but_not_moved),
        cmocka_unit_test(a_node_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
