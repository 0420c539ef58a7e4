/* How the source of memory is described, and that it gives memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bench/lib/memory.h"

/* On CPU node 3 of a machine whose lowest node with memory is 1. */
static struct memory_source describe(int libnuma_node, const char *file, const char *policy,
                                     const char *pages) {
    struct memory_source source;
    const struct memory_facts facts = {libnuma_node, file, policy, pages, 1, 3, MEMORY_NO_POLICY};
    memory_describe(&source, &facts);
    return source;
}

static void assert_source(struct memory_source source, const char *allocator, const char *policy,
                          const char *pages, int node) {
    assert_string_equal(source.allocator, allocator);
    assert_string_equal(source.policy, policy);
    assert_string_equal(source.pages, pages);
    assert_int_equal(source.node, node);
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

static void policies_of_several_nodes_expect_none(void **state) {
    static const char file[] = "/x/numa_alloc.so";
    (void)state;
    assert_source(describe(-1, file, "interleave:0,2-3", NULL), "numa_alloc", "interleave:0,2-3",
                  "default", -1);
    assert_source(describe(-1, file, "weighted:0=3,1=1", NULL), "numa_alloc", "weighted:0=3,1=1",
                  "default", -1);
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
    struct memory_facts facts = {-1, "/lib/libc.so.6", NULL, NULL, 1, 3, 2};
    (void)state;
    memory_describe(&source, &facts);
    assert_source(source, "glibc", "none", "default", 2);
    assert_false(source.first_touch);
    facts.task_node = MEMORY_SEVERAL_NODES;
    memory_describe(&source, &facts);
    assert_int_equal(source.node, -1);
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
        cmocka_unit_test(policies_of_several_nodes_expect_none),
        cmocka_unit_test(libnuma_goes_before_malloc),
        cmocka_unit_test(the_process_policy_is_followed),
        cmocka_unit_test(malloc_is_in_a_file),
        cmocka_unit_test(memory_is_aligned_and_writable),
        cmocka_unit_test(refusal_has_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
