/* How the source of memory is described, and that it gives memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "bench/lib/memory.h"

/* On CPU node 3 of a machine whose lowest node with memory is 1. */
static struct memory_source describe(int libnuma_node, const char *file, const char *policy,
                                     const char *pages) {
    struct memory_source source;
    struct placement_expected all_nodes = {.weights = {[1] = 1, [3] = 1, [252] = 1}};
    const struct memory_facts facts = {.libnuma_node = libnuma_node,
                                       .malloc_file = file,
                                       .policy = policy,
                                       .pages = pages,
                                       .min_size = "64K",
                                       .lowest_memory_node = 1,
                                       .cpu_node = 3,
                                       .task_node = MEMORY_NO_POLICY,
                                       .all_nodes = &all_nodes};
    memory_describe(&source, &facts);
    return source;
}

static void assert_source(struct memory_source source, const char *allocator, const char *policy,
                          const char *pages, int node) {
    assert_string_equal(source.allocator, allocator);
    assert_string_equal(source.policy, policy);
    assert_string_equal(source.pages, pages);
    assert_int_equal(source.node, node);
    if (node >= 0) {
        assert_int_equal(placement_expected_nodes(&source.expected), 1);
        assert_int_not_equal(source.expected.weights[node], 0);
    }
}

static void glibc_is_first_touch_whatever_the_environment(void **state) {
    (void)state;
    struct memory_source source =
        describe(-1, "/usr/lib/x86_64-linux-gnu/libc.so.6", "bind:0", "thp");
    assert_source(source, "glibc", "none", "default", 3);
    assert_true(source.first_touch && !source.by_libnuma);
}

static void other_allocators_go_by_their_file(void **state) {
    (void)state;
    assert_source(describe(-1, "/opt/x/libjemalloc.so.2", NULL, NULL), "libjemalloc.so.2", "none",
                  "default", 3);
    assert_source(describe(-1, "latency", NULL, NULL), "latency", "none", "default", 3);
    assert_source(describe(-1, NULL, NULL, NULL), "unknown", "none", "default", 3);
}

static void numa_alloc_binds_to_the_lowest_node_by_default(void **state) {
    (void)state;
    struct memory_source source = describe(-1, "../alloc/numa_alloc.so", NULL, NULL);
    assert_source(source, "numa_alloc", "bind:1", "default", 1);
    assert_false(source.first_touch);
}

static void numa_alloc_policies(void **state) {
    static const char file[] = "/x/numa_alloc.so";
    (void)state;
    assert_source(describe(-1, file, "bind:252", "2M"), "numa_alloc", "bind:252", "2M", 252);
    assert_source(describe(-1, file, "preferred:0", "thp"), "numa_alloc", "preferred:0", "thp", 0);
    assert_source(describe(-1, file, "local", NULL), "numa_alloc", "local", "default", 3);
    assert_source(describe(-1, file, "none", NULL), "numa_alloc", "none", "default", 3);
    assert_true(describe(-1, file, "none", NULL).first_touch);
}

/* The nodes and weights of `expected`, written back. */
static void assert_expected(const struct placement_expected *expected, const char *written,
                            bool shares) {
    char text[64] = "";
    for (int node = 0; node < PLACEMENT_NODES; node++)
        if (expected->weights[node] != 0)
            snprintf(text + strlen(text), sizeof text - strlen(text), " %d=%d", node,
                     expected->weights[node]);
    assert_string_equal(text, written);
    assert_int_equal(expected->shares, shares);
}

static void policies_of_several_nodes_expect_all_of_them(void **state) {
    static const struct {
        const char *policy, *written;
        bool shares;
    } cases[] = {{"interleave:0,2-3", " 0=1 2=1 3=1", true},
                 {"interleave:all", " 1=1 3=1 252=1", true},
                 {"preferred:1,3", " 1=1 3=1", false},
                 {"preferred:all", " 1=1 3=1 252=1", false},
                 {"weighted:8=3,1=255", " 1=255 8=3", true}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct memory_source source = describe(-1, "/x/numa_alloc.so", cases[i].policy, NULL);
        assert_source(source, "numa_alloc", cases[i].policy, "default", -1);
        assert_expected(&source.expected, cases[i].written, cases[i].shares);
    }
}

static void a_list_of_one_node_is_that_node(void **state) {
    static const char *const policies[] = {"preferred:252", "interleave:252", "weighted:252=7",
                                           "interleave:252-252"};
    (void)state;
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++)
        assert_source(describe(-1, "/x/numa_alloc.so", policies[i], NULL), "numa_alloc",
                      policies[i], "default", 252);
}

/* `all` where nobody has said which nodes there are, and what the library would have refused. */
static void nothing_is_expected_of_nodes_that_are_not_known(void **state) {
    static const char *const policies[] = {"interleave:all",  "interleave:",
                                           "interleave:1024", "weighted:0=256",
                                           "weighted:0=",     "preferred:0-",
                                           "interleave:0,2 ", "weighted",
                                           "interleave:x",    "weighted:0=99999999999999999999"};
    struct memory_facts facts = {-1, "/x/numa_alloc.so", NULL, NULL, NULL, 1, 3, 0, NULL};
    struct memory_source source;
    (void)state;
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        facts.policy = policies[i];
        memory_describe(&source, &facts);
        assert_int_equal(source.node, -1);
        assert_int_equal(placement_expected_nodes(&source.expected), 0);
    }
}

/* Of blocks rounded up to MEMORY_ALIGN_BYTES. */
static void blocks_below_the_least_size_are_placed_locally(void **state) {
    struct memory_facts facts = {-1, "/x/numa_alloc.so", "bind:1", NULL, "2097153", 1,
                                 3,  MEMORY_NO_POLICY,   NULL};
    struct memory_source source;
    const char *why;
    (void)state;
    memory_describe(&source, &facts);
    void *large = memory_get(&source, MEMORY_ALIGN_BYTES + 1, &why);
    assert_non_null(large);
    assert_source(source, "numa_alloc", "bind:1", "default", 1);
    void *small = memory_get(&source, MEMORY_ALIGN_BYTES, &why);
    assert_non_null(small);
    assert_source(source, "numa_alloc", "local", "default", 3);
    memory_free(&source, large, MEMORY_ALIGN_BYTES + 1);
    memory_free(&source, small, MEMORY_ALIGN_BYTES);
}

static void libnuma_goes_before_malloc(void **state) {
    (void)state;
    struct memory_source source = describe(2, "/x/numa_alloc.so", "bind:0", "2M");
    assert_source(source, "libnuma", "bind:2", "default", 2);
    assert_true(source.by_libnuma);
}

/* numactl --membind=2, --interleave=all: asked for by the process, followed where malloc is silent.
 */
static void the_process_policy_is_followed(void **state) {
    struct memory_source source;
    struct memory_facts facts = {-1, "/lib/libc.so.6", NULL, NULL, NULL, 1, 3, 2, NULL};
    (void)state;
    memory_describe(&source, &facts);
    assert_source(source, "glibc", "none", "default", 2);
    assert_false(source.first_touch);
    facts.task_node = MEMORY_SEVERAL_NODES;
    memory_describe(&source, &facts);
    assert_int_equal(source.node, -1);
    assert_int_equal(placement_expected_nodes(&source.expected), 0);
    facts.malloc_file = "/x/numa_alloc.so";
    facts.policy = "none";
    facts.task_node = 2;
    memory_describe(&source, &facts);
    assert_source(source, "numa_alloc", "none", "default", 2);
    facts.policy = "bind:0";
    memory_describe(&source, &facts);
    assert_source(source, "numa_alloc", "bind:0", "default", 0);
}

static void malloc_is_in_a_file(void **state) {
    (void)state;
    assert_non_null(memory_malloc_file());
}

static void memory_is_aligned_and_writable(void **state) {
    struct memory_source source = describe(-1, NULL, NULL, NULL);
    const char *why = NULL;
    (void)state;
    char *memory = memory_get(&source, 10001, &why);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % MEMORY_ALIGN_BYTES, 0);
    memset(memory, 1, 10001);
    memory_free(&source, memory, 10001);
}

static void refusal_has_a_reason(void **state) {
    struct memory_source source = describe(-1, NULL, NULL, NULL);
    const char *why = NULL;
    (void)state;
    assert_null(memory_get(&source, (size_t)1 << 60, &why));
    assert_non_null(why);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(glibc_is_first_touch_whatever_the_environment),
        cmocka_unit_test(other_allocators_go_by_their_file),
        cmocka_unit_test(numa_alloc_binds_to_the_lowest_node_by_default),
        cmocka_unit_test(numa_alloc_policies),
        cmocka_unit_test(policies_of_several_nodes_expect_all_of_them),
        cmocka_unit_test(a_list_of_one_node_is_that_node),
        cmocka_unit_test(nothing_is_expected_of_nodes_that_are_not_known),
        cmocka_unit_test(blocks_below_the_least_size_are_placed_locally),
        cmocka_unit_test(libnuma_goes_before_malloc),
        cmocka_unit_test(the_process_policy_is_followed),
        cmocka_unit_test(malloc_is_in_a_file),
        cmocka_unit_test(memory_is_aligned_and_writable),
        cmocka_unit_test(refusal_has_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
