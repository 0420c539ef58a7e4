/* Where pages are: reading numa_maps, asking the kernel, judging the answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lib/placement.h"

/* Lines as kernels write them: a huge policy word, hugetlb, a file, and no pages at all. */
static char maps[] =
    "00400000 default file=/usr/bin/program mapped=10 N0=10 kernelpagesize_kB=4\n"
    "01c00000 default heap anon=33 dirty=33 N0=30 N1=3 kernelpagesize_kB=4\n"
    "7f0000000000 bind:1 anon=65536 dirty=65536 active=0 N1=65536 kernelpagesize_kB=4\n"
    "7f0010000000 prefer=static:0,8 anon=1000 dirty=1000 N0=600 N8=300 N252=100 "
    "kernelpagesize_kB=4\n"
    "7f0020000000 default\n"
    "7f0030000000 bind:0 file=/anon_hugepage\\040(deleted) huge anon=4 dirty=4 N0=4 "
    "kernelpagesize_kB=2048\n"
    "7ffd00000000 default stack:1 anon=3 dirty=3 N0=3 kernelpagesize_kB=4\n";

static FILE *open_maps(void) {
    FILE *in = fmemopen(maps, sizeof maps - 1, "r");
    assert_non_null(in);
    return in;
}

static void assert_balanced(const struct placement *placement) {
    uint64_t pages = placement->nowhere;
    for (size_t node = 0; node < PLACEMENT_NODES; node++)
        pages += placement->on_node[node];
    assert_int_equal(pages, placement->pages);
}

static void numa_maps_line_of_a_block_is_found(void **state) {
    static struct placement placement;
    FILE *in = open_maps();
    (void)state;
    /* malloc's block starts 16 bytes into its mapping and ends in it. */
    assert_true(placement_read_numa_maps(in, 0x7f0000000010, 0x10000000 - 0x10, &placement));
    assert_int_equal(placement.source, PLACEMENT_NUMA_MAPS);
    assert_int_equal(placement.pages, 65536);
    assert_int_equal(placement.on_node[1], 65536);
    assert_int_equal(placement.on_node[0], 0);
    assert_balanced(&placement);
    fclose(in);
}

static void numa_maps_lines_of_a_block_add_up(void **state) {
    static struct placement placement;
    FILE *in = open_maps();
    (void)state;
    assert_true(placement_read_numa_maps(in, 0x7f0000000000, 0x10000001, &placement));
    assert_int_equal(placement.pages, 66536);
    assert_int_equal(placement.on_node[1], 65536);
    assert_int_equal(placement.on_node[8], 300);
    assert_int_equal(placement.on_node[252], 100);
    assert_balanced(&placement);
    fclose(in);
}

static void numa_maps_mapping_without_pages_counts_none(void **state) {
    static struct placement placement;
    FILE *in = open_maps();
    (void)state;
    assert_true(placement_read_numa_maps(in, 0x7f0020000000, 4096, &placement));
    assert_int_equal(placement.pages, 0);
    fclose(in);
}

static void numa_maps_reads_huge_pages(void **state) {
    static struct placement placement;
    FILE *in = open_maps();
    (void)state;
    assert_true(placement_read_numa_maps(in, 0x7f0030000000, 4096, &placement));
    assert_int_equal(placement.pages, 4);
    assert_int_equal(placement.on_node[0], 4);
    fclose(in);
}

static void numa_maps_without_the_block_changes_nothing(void **state) {
    static struct placement placement = {.error = 7};
    FILE *in = open_maps();
    (void)state;
    assert_false(placement_read_numa_maps(in, 0x1000, 4096, &placement));
    assert_int_equal(placement.error, 7);
    fclose(in);
}

static void numa_maps_damaged_lines_are_passed_over(void **state) {
    static struct placement placement;
    static char damaged[] = "\n"
                            "not an address\n"
                            "7f00zz bind:9 N9=9\n"
                            "7f0000000000 bind:1 N=5 Nx=4 N99999=3 N1 N1:7 N1=2 anon=x\n"
                            "7f0000001000";
    FILE *in = fmemopen(damaged, sizeof damaged - 1, "r");
    (void)state;
    assert_non_null(in);
    assert_true(placement_read_numa_maps(in, 0x7f0000000000, 4096, &placement));
    assert_int_equal(placement.pages, 2);
    assert_int_equal(placement.on_node[1], 2);
    fclose(in);
}

static void mappings_of_a_block_are_listed(void **state) {
    uintptr_t starts[2] = {0, 0};
    FILE *in = open_maps();
    (void)state;
    assert_int_equal(placement_mappings(in, 0x7f0000000010, 4096, starts, 2), 1);
    assert_int_equal(starts[0], 0x7f0000000000);
    assert_int_equal(placement_mappings(in, 0x7f0000000010, 0x30000000, starts, 2), 4);
    assert_int_equal(starts[1], 0x7f0010000000);
    assert_int_equal(placement_mappings(in, 0x10, 16, starts, 2), 0);
    fclose(in);
}

/* The running kernel: every written page has a node, every untouched one has none. */
static void kernel_answers_page_by_page(void **state) {
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), pages = 3000;
    static struct placement placement;
    (void)state;
    char *block = aligned_alloc(page_bytes, pages * page_bytes);
    assert_non_null(block);
    memset(block, 1, (pages - 1000) * page_bytes);
    placement_ask(block, pages * page_bytes, &placement);
    if (placement.source == PLACEMENT_PAGE_BY_PAGE) {
        assert_int_equal(placement.pages, pages);
        assert_in_range(placement.nowhere, 1, 1000); /* huge pages may fill some of them */
        assert_balanced(&placement);
        placement_ask(block + page_bytes - 1, 2, &placement);
        assert_int_equal(placement.pages, 2);
        assert_int_equal(placement.nowhere, 0);
    } else {
        print_message("move_pages is refused here (%s): only the way back was tried\n",
                      strerror(placement.error));
        assert_true(placement.source == PLACEMENT_NUMA_MAPS || placement.error != 0);
    }
    free(block);
}

static struct placement_expected expect(int node) {
    struct placement_expected expected;
    placement_expect_node(&expected, node);
    return expected;
}

static void no_expected_node_is_unverified(void **state) {
    int block = 1;
    struct placement_tally tally = {0};
    (void)state;
    struct placement_expected nothing = expect(-1);
    placement_add(&tally, &block, sizeof block, &nothing);
    struct placement_verdict verdict = placement_judge(&tally, &nothing);
    assert_int_equal(verdict.status, PLACEMENT_UNVERIFIED);
    assert_int_equal(verdict.error, 0);
}

/* Of two regions, one on the node it is on and one on a node it cannot be on. */
static void half_misplaced_fails_with_its_fraction(void **state) {
    static struct placement placement;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    (void)state;
    char *block = aligned_alloc(page_bytes, 8 * page_bytes);
    assert_non_null(block);
    memset(block, 1, 8 * page_bytes);
    placement_ask(block, 8 * page_bytes, &placement);
    if (placement.source != PLACEMENT_PAGE_BY_PAGE) {
        print_message("move_pages is refused here\n");
        free(block);
        skip();
    }
    int node = 0;
    while (placement.on_node[node] == 0)
        node++;
    static struct placement_tally right, half, wrong;
    struct placement_expected there = expect(node), elsewhere = expect(1023);
    placement_add(&right, block, 8 * page_bytes, &there);
    struct placement_verdict verdict = placement_judge(&right, &there);
    if (placement.on_node[node] == 8)
        assert_int_equal(verdict.status, PLACEMENT_VERIFIED);
    placement_add(&half, block, 4 * page_bytes, &there);
    placement_add(&wrong, block + 4 * page_bytes, 4 * page_bytes, &elsewhere);
    placement_merge(&half, &wrong);
    verdict = placement_judge(&half, &there);
    assert_int_equal(half.pages, 8);
    assert_int_equal(verdict.status, PLACEMENT_FAILED);
    assert_true(verdict.fraction <= 0.5);
    free(block);
}

static void one_untold_part_leaves_all_unverified(void **state) {
    struct placement_tally told = {.pages = 10, .placed = 10};
    const struct placement_tally untold = {.untold = true, .error = EPERM};
    const struct placement_expected expected = expect(0);
    (void)state;
    assert_int_equal(placement_judge(&told, &expected).status, PLACEMENT_VERIFIED);
    placement_merge(&told, &untold);
    assert_int_equal(placement_judge(&told, &expected).status, PLACEMENT_UNVERIFIED);
    assert_int_equal(placement_judge(&told, &expected).error, EPERM);
}

static void one_page_in_a_thousand_may_stray(void **state) {
    const struct placement_tally enough = {.pages = 10000, .placed = 9990};
    const struct placement_tally below = {.pages = 10000, .placed = 9989};
    const struct placement_tally nothing = {0};
    const struct placement_expected expected = expect(0);
    (void)state;
    assert_int_equal(placement_judge(&enough, &expected).status, PLACEMENT_VERIFIED);
    assert_int_equal(placement_judge(&below, &expected).status, PLACEMENT_FAILED);
    assert_int_equal(placement_judge(&nothing, &expected).status, PLACEMENT_FAILED);
}

static struct placement_verdict judge_two_nodes(uint8_t weight_of_0, uint8_t weight_of_8,
                                                uint64_t on_0, uint64_t on_8, uint64_t bytes) {
    struct placement_expected expected = {.shares = true};
    expected.weights[0] = weight_of_0;
    expected.weights[8] = weight_of_8;
    struct placement_tally tally = {.pages = on_0 + on_8, .blocks = 1, .bytes = bytes};
    tally.on_node[0] = on_0;
    tally.on_node[8] = on_8;
    tally.placed = tally.pages;
    return placement_judge(&tally, &expected);
}

/* Within 5 % of all pages; 2 MiB more or less is nothing to a block of 1 GiB. */
static void each_node_has_its_share(void **state) {
    (void)state;
    const uint64_t bytes = 1 << 30;
    assert_int_equal(judge_two_nodes(1, 1, 500, 500, bytes).status, PLACEMENT_VERIFIED);
    assert_int_equal(judge_two_nodes(1, 1, 540, 460, bytes).status, PLACEMENT_VERIFIED);
    assert_int_equal(judge_two_nodes(1, 1, 560, 440, bytes).status, PLACEMENT_FAILED);
    assert_int_equal(judge_two_nodes(1, 1, 1000, 0, bytes).status, PLACEMENT_FAILED);
    assert_int_equal(judge_two_nodes(3, 1, 750, 250, bytes).status, PLACEMENT_VERIFIED);
    assert_int_equal(judge_two_nodes(3, 1, 500, 500, bytes).status, PLACEMENT_FAILED);
    assert_int_equal(judge_two_nodes(1, 3, 750, 250, bytes).status, PLACEMENT_FAILED);
    assert_int_equal(judge_two_nodes(255, 1, 1000, 0, bytes).status, PLACEMENT_VERIFIED);
    assert_true(judge_two_nodes(1, 1, 540, 460, bytes).fraction == 1);
    assert_true(judge_two_nodes(1, 1, 750, 250, bytes).fraction == 0.75);
}

static void a_block_of_one_huge_page_may_be_on_either_node(void **state) {
    (void)state;
    assert_int_equal(judge_two_nodes(1, 1, 512, 0, 2 << 20).status, PLACEMENT_VERIFIED);
    assert_int_equal(judge_two_nodes(1, 1, 4 * 512, 0, 8 << 20).status, PLACEMENT_FAILED);
}

static void preferred_nodes_have_no_shares(void **state) {
    (void)state;
    struct placement_expected expected = expect(0);
    struct placement_tally tally = {.pages = 1000, .placed = 1000, .bytes = 1 << 30};
    expected.weights[1] = 1;
    tally.on_node[1] = 1000;
    assert_int_equal(placement_expected_nodes(&expected), 2);
    assert_int_equal(placement_judge(&tally, &expected).status, PLACEMENT_VERIFIED);
}

static void pages_on_any_expected_node_are_counted(void **state) {
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    struct placement_expected all = {.shares = false}, none_here = expect(1023);
    static struct placement_tally tally, elsewhere;
    (void)state;
    memset(all.weights, 1, sizeof all.weights - 1);
    char *block = aligned_alloc(page_bytes, 8 * page_bytes);
    assert_non_null(block);
    memset(block, 1, 8 * page_bytes);
    placement_add(&tally, block, 8 * page_bytes, &all);
    placement_add(&elsewhere, block, 8 * page_bytes, &none_here);
    free(block);
    if (tally.untold) {
        print_message("# SKIP the kernel would not say: %s\n", strerror(tally.error));
        skip();
    }
    assert_int_equal(placement_judge(&tally, &all).status, PLACEMENT_VERIFIED);
    assert_int_equal(placement_judge(&elsewhere, &none_here).status, PLACEMENT_FAILED);
    placement_merge(&tally, &elsewhere);
    uint64_t pages = 0;
    for (size_t node = 0; node < PLACEMENT_NODES; node++)
        pages += tally.on_node[node];
    assert_int_equal(pages, tally.pages);
    assert_int_equal(tally.blocks, 1);
    assert_int_equal(tally.bytes, 16 * page_bytes);
}

static void worse_of_two_verdicts(void **state) {
    const struct placement_verdict verified = {PLACEMENT_VERIFIED, 1, 0};
    const struct placement_verdict nearly = {PLACEMENT_VERIFIED, 0.9995, 0};
    const struct placement_verdict failed = {PLACEMENT_FAILED, 0.2, 0};
    const struct placement_verdict refused = {PLACEMENT_UNVERIFIED, 0, EPERM};
    (void)state;
    assert_true(placement_worse(verified, nearly).fraction == 0.9995);
    assert_true(placement_worse(nearly, verified).fraction == 0.9995);
    assert_int_equal(placement_worse(verified, failed).status, PLACEMENT_FAILED);
    assert_int_equal(placement_worse(failed, verified).status, PLACEMENT_FAILED);
    assert_int_equal(placement_worse(refused, failed).error, EPERM);
    assert_int_equal(placement_worse(failed, refused).error, EPERM);
}

static uint64_t moved(uint64_t on_0, uint64_t on_1, uint64_t later_on_0, uint64_t later_on_1) {
    static struct placement_tally before, after;
    before.on_node[0] = on_0;
    before.on_node[1] = on_1;
    after.on_node[0] = later_on_0;
    after.on_node[1] = later_on_1;
    return placement_moved(&before, &after);
}

/* A page that came from nowhere, or is away for a moment, has not moved from node to node. */
static void pages_that_changed_their_node_are_counted(void **state) {
    (void)state;
    assert_int_equal(moved(1000, 0, 1000, 0), 0);
    assert_int_equal(moved(1000, 0, 400, 600), 600);
    assert_int_equal(moved(0, 1000, 1000, 0), 1000);
    assert_int_equal(moved(1000, 0, 990, 0), 0);
    assert_int_equal(moved(990, 0, 1000, 0), 0);
    assert_int_equal(moved(1000, 0, 980, 10), 10);
}

/* As Linux writes it: 0 off, 1 on, 2 for memory tiers, 3 both. */
static void numa_balancing_is_on_unless_0(void **state) {
    static const struct {
        const char *text;
        bool on;
    } cases[] = {{"0\n", false}, {"1\n", true}, {"2\n", true}, {"3\n", true}, {"", false}};
    char path[] = "/tmp/numa_balancing.XXXXXX";
    int file = mkstemp(path);
    (void)state;
    assert_true(file >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = strlen(cases[i].text);
        assert_int_equal(ftruncate(file, 0), 0);
        assert_int_equal(pwrite(file, cases[i].text, length, 0), (ssize_t)length);
        assert_int_equal(placement_balancing_is_on(path), cases[i].on);
    }
    close(file);
    unlink(path);
    assert_false(placement_balancing_is_on(path));
}

static void statuses_are_the_words_of_the_csv(void **state) {
    (void)state;
    assert_string_equal(placement_status_name(PLACEMENT_VERIFIED), "verified");
    assert_string_equal(placement_status_name(PLACEMENT_FAILED), "failed");
    assert_string_equal(placement_status_name(PLACEMENT_UNVERIFIED), "unverified");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numa_maps_line_of_a_block_is_found),
        cmocka_unit_test(numa_maps_lines_of_a_block_add_up),
        cmocka_unit_test(numa_maps_mapping_without_pages_counts_none),
        cmocka_unit_test(numa_maps_reads_huge_pages),
        cmocka_unit_test(numa_maps_without_the_block_changes_nothing),
        cmocka_unit_test(numa_maps_damaged_lines_are_passed_over),
        cmocka_unit_test(mappings_of_a_block_are_listed),
        cmocka_unit_test(kernel_answers_page_by_page),
        cmocka_unit_test(no_expected_node_is_unverified),
        cmocka_unit_test(half_misplaced_fails_with_its_fraction),
        cmocka_unit_test(one_untold_part_leaves_all_unverified),
        cmocka_unit_test(one_page_in_a_thousand_may_stray),
        cmocka_unit_test(each_node_has_its_share),
        cmocka_unit_test(a_block_of_one_huge_page_may_be_on_either_node),
        cmocka_unit_test(preferred_nodes_have_no_shares),
        cmocka_unit_test(pages_on_any_expected_node_are_counted),
        cmocka_unit_test(worse_of_two_verdicts),
        cmocka_unit_test(pages_that_changed_their_node_are_counted),
        cmocka_unit_test(numa_balancing_is_on_unless_0),
        cmocka_unit_test(statuses_are_the_words_of_the_csv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
