/* Which pages memory is in, read from the text of smaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "bench/lib/pages.h"

/* As kernels write it, without the lines that nobody reads: ordinary pages, transparent huge pages
 * in most of a mapping, 2 MiB reserved ones, and ordinary ones beside them. */
static char smaps[] = "00400000-00500000 rw-p 00000000 00:00 0          [heap]\n"
                      "Size:               1024 kB\n"
                      "KernelPageSize:        4 kB\n"
                      "MMUPageSize:           4 kB\n"
                      "Rss:                 512 kB\n"
                      "AnonHugePages:         0 kB\n"
                      "7f0000000000-7f0001000000 rw-p 00000000 00:00 0\n"
                      "Size:              16384 kB\n"
                      "KernelPageSize:        4 kB\n"
                      "Rss:               10240 kB\n"
                      "AnonHugePages:      8192 kB\n"
                      "7f0001000000-7f0001400000 rw-p 00000000 00:0f 12 /anon_hugepage (deleted)\n"
                      "KernelPageSize:     2048 kB\n"
                      "Rss:                   0 kB\n"
                      "7f0001400000-7f0001800000 rw-p 00000000 00:00 0\n"
                      "KernelPageSize:        4 kB\n"
                      "Rss:                4096 kB\n"
                      "AnonHugePages:      4096 kB\n"
                      "VmFlags: rd wr mr mw me ac\n";

enum { MIB = 1 << 20 };

static struct pages_tally add(uintptr_t start, size_t size_bytes, const char *pages, bool found) {
    struct pages_tally tally = {0};
    FILE *in = fmemopen(smaps, sizeof smaps - 1, "r");
    assert_non_null(in);
    assert_int_equal(pages_add(in, start, size_bytes, pages, &tally), found);
    fclose(in);
    return tally;
}

static void assert_tally(struct pages_tally tally, uint64_t bytes, uint64_t in_force) {
    assert_int_equal(tally.bytes, bytes);
    assert_int_equal(tally.in_force, in_force);
}

static void reserved_pages_are_told_by_their_size(void **state) {
    (void)state;
    assert_tally(add(0x7f0001000000, 2 * MIB, "2M", true), 2 * MIB, 2 * MIB);
    assert_tally(add(0x7f0001000000, 2 * MIB, "1G", true), 2 * MIB, 0);
    assert_tally(add(0x7f0000000000, MIB, "2M", true), MIB, 0);
}

static void a_range_over_two_mappings_has_part_of_each(void **state) {
    (void)state;
    struct pages_tally tally = add(0x7f0001200000, 4 * MIB, "2M", true);
    assert_tally(tally, 4 * MIB, 2 * MIB);
    assert_string_equal(pages_in_force(&tally, "2M"), "mixed");
}

static void transparent_huge_pages_are_counted_by_mapping(void **state) {
    (void)state;
    assert_tally(add(0x7f0000100000, MIB, "thp", true), 10 * MIB, 8 * MIB);
    assert_tally(add(0x7f0001400000, MIB, "thp", true), 4 * MIB, 4 * MIB); /* the last mapping */
    assert_tally(add(0x400000, MIB, "thp", true), MIB / 2, 0);
}

static void a_range_that_is_no_mapping_is_not_found(void **state) {
    (void)state;
    assert_tally(add(0x1000, 4096, "2M", false), 0, 0);
    assert_tally(add(0x7f0001800000, 4096, "thp", false), 0, 0);
    assert_tally(add(0x7f0001000000, 4096, "huge", false), 0, 0);
}

static void ranges_add_up(void **state) {
    struct pages_tally tally = {0};
    FILE *in = fmemopen(smaps, sizeof smaps - 1, "r");
    (void)state;
    assert_non_null(in);
    assert_true(pages_add(in, 0x7f0001000000, MIB, "2M", &tally));
    assert_true(pages_add(in, 0x7f0001200000, MIB, "2M", &tally));
    assert_tally(tally, 2 * MIB, 2 * MIB);
    fclose(in);
}

static void what_is_in_force_is_named(void **state) {
    const struct pages_tally all = {1000, 1000}, nearly = {1000, 990}, most = {1000, 989};
    const struct pages_tally none = {1000, 0}, nothing = {0, 0};
    (void)state;
    assert_string_equal(pages_in_force(&all, "1G"), "1G");
    assert_string_equal(pages_in_force(&nearly, "thp"), "thp");
    assert_string_equal(pages_in_force(&most, "thp"), "mixed");
    assert_string_equal(pages_in_force(&none, "2M"), "default");
    assert_string_equal(pages_in_force(&nothing, "2M"), "default");
}

/* The running kernel: this program's own variables are in ordinary pages. */
static void the_kernel_tells_of_this_program(void **state) {
    struct pages_tally tally = {0};
    FILE *in = fopen("/proc/self/smaps", "re");
    (void)state;
    if (in == NULL) {
        print_message("# SKIP /proc/self/smaps cannot be read here\n");
        skip();
    }
    assert_true(pages_add(in, (uintptr_t)smaps, sizeof smaps, "2M", &tally));
    assert_tally(tally, sizeof smaps, 0);
    fclose(in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reserved_pages_are_told_by_their_size),
        cmocka_unit_test(a_range_over_two_mappings_has_part_of_each),
        cmocka_unit_test(transparent_huge_pages_are_counted_by_mapping),
        cmocka_unit_test(a_range_that_is_no_mapping_is_not_found),
        cmocka_unit_test(ranges_add_up),
        cmocka_unit_test(what_is_in_force_is_named),
        cmocka_unit_test(the_kernel_tells_of_this_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
