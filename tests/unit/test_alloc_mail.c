/* Threads and nodes: blocks that another thread frees are sent home in letters. The machine is made
 * up, two nodes of which threads are told where they are; where pages really are plays no part. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "alloc/stats_json.c"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define NODES  2
#define BLOCKS 3600 /* fit into a mailbox */

/* Sets up what the constructor has set up for the real machine. */
static void set_up(enum policy_kind policy, size_t min_size_bytes) {
    memset(&na, 0, sizeof na);
    thread_take_from(&empty_heap);
    threads.orphans = NULL;
    na.config.policy = policy;
    na.config.min_size_bytes = min_size_bytes;
    node_set_add(&na.config.nodes, 0);
    na.config.on_error = ON_ERROR_SILENT;
    for (unsigned node = 0; node < NODES; node++)
        node_set_add(&na.topology.has_memory, node);
    na.arena_bytes = ARENA_BYTES;
    na.segment_bytes = SEGMENT_SIZE;
    na.span_size_max = SEGMENT_SIZE;
    set_up_pools();
    threads.exit_key_valid = pthread_key_create(&threads.exit_key, thread_exit_destructor) == 0;
    atomic_store(&na.ready, true);
}

static int two_nodes_local(void **state) {
    (void)state;
    set_up(POLICY_LOCAL, 0);
    return na.node_count == NODES && na.follows_node ? 0 : -1;
}

static void run_on(unsigned node) {
    struct heap *heap = tls.own == &empty_heap ? thread_attach() : tls.own;
    assert_non_null(heap);
    heap->thread->heap_index = na.node_count + node;
    thread_take_from(thread_heap(heap->thread, na.node_count + node));
}

static uint64_t live_blocks(void) {
    static struct heap_stats stats;
    stats_gather(&stats);
    uint64_t live = 0;
    for (unsigned i = 0; i < SIZE_CLASSES; i++)
        live += stats.classes[i].live_blocks;
    return live;
}

struct blocks {
    size_t size_bytes;
    void *block[BLOCKS];
};

static void allocate(struct blocks *blocks, size_t size_bytes) {
    blocks->size_bytes = size_bytes;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks->block[i] = na_malloc(size_bytes);
        assert_non_null(blocks->block[i]);
        memset(blocks->block[i], 0x5a, size_bytes);
    }
}

static void *free_on_node_1(void *argument) {
    struct blocks *blocks = argument;
    run_on(1);
    for (size_t i = 0; i < BLOCKS; i++)
        na_free(blocks->block[i]);
    return NULL;
}

static void in_thread(void *(*function)(void *), void *argument) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, function, argument), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void freeing_another_threads_block_does_not_touch_it(void **state) {
    (void)state;
    static struct blocks blocks;
    run_on(0);
    allocate(&blocks, 200);
    in_thread(free_on_node_1, &blocks);
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t at = 0; at < blocks.size_bytes; at++)
            assert_int_equal(((unsigned char *)blocks.block[i])[at], 0x5a);
    na_trim();
    assert_int_equal(live_blocks(), 0);
}

static int by_address(const void *a, const void *b) {
    const void *const *left = a, *const *right = b;
    return *left < *right ? -1 : *left > *right;
}

static void blocks_freed_on_another_node_are_handed_out_again(void **state) {
    (void)state;
    static struct blocks first, second;
    run_on(0);
    allocate(&first, 1000);
    uint64_t slices_used = na.pools[0].slices_used;
    in_thread(free_on_node_1, &first);
    allocate(&second, 1000);
    assert_in_range(na.pools[0].slices_used, 0, slices_used + 1);
    qsort(first.block, BLOCKS, sizeof first.block[0], by_address);
    size_t again = 0;
    for (size_t i = 0; i < BLOCKS; i++)
        again += bsearch(&second.block[i], first.block, BLOCKS, sizeof first.block[0],
                         by_address) != NULL;
    assert_in_range(again, BLOCKS - 100, BLOCKS); /* but for what was free besides */
    for (size_t i = 0; i < BLOCKS; i++)
        na_free(second.block[i]);
    na_trim();
    assert_int_equal(live_blocks(), 0);
}

static void a_thread_that_ends_posts_what_it_has(void **state) {
    (void)state;
    static struct blocks blocks;
    run_on(0);
    allocate(&blocks, 48);
    in_thread(free_on_node_1, &blocks);
    thread_collect(tls.heap->thread, UINT_MAX);
    assert_int_equal(live_blocks(), 0);
}

static void a_mailbox_that_nobody_opens_stays_small(void **state) {
    (void)state;
    static struct blocks blocks[10];
    run_on(0);
    for (int round = 0; round < 10; round++)
        allocate(&blocks[round], 64);
    for (int round = 0; round < 10; round++) {
        in_thread(free_on_node_1, &blocks[round]);
        assert_in_range(atomic_load(&tls.heap->thread->mailbox_letters), 0, MAILBOX_LETTERS_MAX);
    }
    na_trim();
    assert_int_equal(atomic_load(&tls.heap->thread->mailbox_letters), 0);
    assert_int_equal(live_blocks(), 0);
}

/* --- many threads --------------------------------------------------------------------------- */

#define THREADS 4
#define SHELF   4096
#define ROUNDS  100000

static _Atomic(unsigned char *) shelf[SHELF];

/* Puts stamped blocks on a shelf from which all take, frees what it displaces, and changes nodes.
 */
static void *exchange(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        seed = seed * 1664525 + 1013904223;
        if (i % 1000 == 0)
            run_on(seed >> 16 & 1);
        size_t size = 16 + (seed >> 8) % (i % 64 == 0 ? 20000 : 500);
        unsigned char *block = na_malloc(size);
        assert_non_null(block);
        memcpy(block, &size, sizeof size);
        block[size - 1] = (unsigned char)size;
        block = atomic_exchange(&shelf[(seed >> 4) % SHELF], block);
        if (block == NULL)
            continue;
        memcpy(&size, block, sizeof size);
        assert_in_range(size, 16, 20016);
        assert_int_equal(block[size - 1], (unsigned char)size);
        na_free(block);
    }
    return NULL;
}

static void no_block_is_lost_or_handed_out_twice(void **state) {
    (void)state;
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, exchange, (void *)(i * 977 + 1)), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    for (unsigned i = 0; i < SHELF; i++)
        na_free(atomic_exchange(&shelf[i], NULL));
    na_trim();
    na_trim();
    assert_int_equal(live_blocks(), 0);
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(na.pools[i].slices_used, 0);
}

/* Small blocks are local, larger ones bound. */
static int two_nodes_mixed(void **state) {
    (void)state;
    set_up(POLICY_BIND, 1024);
    return na.node_count == NODES && na.follows_node ? 0 : -1;
}

static void small_blocks_follow_the_thread_under_a_policy_for_large_ones(void **state) {
    (void)state;
    static struct blocks blocks;
    cpu_set_t stay;
    unsigned cpu, here;
    assert_int_equal(getcpu(&cpu, &here), 0);
    CPU_ZERO(&stay);
    CPU_SET(cpu, &stay);
    if (here > 1 || sched_setaffinity(0, sizeof stay, &stay) != 0)
        skip(); /* of real nodes, this one is beyond the two made-up ones */
    run_on(1 - here);
    allocate(&blocks, 200);
    /* The made-up node is not where this thread is, and it looks again and again. */
    for (size_t i = 0; i < BLOCKS; i++)
        na_free(blocks.block[i]);
    allocate(&blocks, 200);
    assert_int_equal(tls.heap->thread->node_switches, 1);
    assert_ptr_equal(tls.own->pool, &na.pools[here]);
    for (size_t i = 0; i < BLOCKS; i++)
        na_free(blocks.block[i]);
    na_trim();
    assert_int_equal(live_blocks(), 0);
}

static void naming_another_node_does_not_hold_what_was_freed_there(void **state) {
    (void)state;
    run_on(0);
    na.pools[1].slices_used_peak = 0;
    for (size_t i = 0; i < 4 * BLOCKS; i++)
        na_free(na_aligned_on(1, 16, 8000, NULL));
    assert_in_range(na.pools[1].slices_used_peak, 1, 4);
    na_trim();
    assert_int_equal(live_blocks(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freeing_another_threads_block_does_not_touch_it),
        cmocka_unit_test(blocks_freed_on_another_node_are_handed_out_again),
        cmocka_unit_test(a_thread_that_ends_posts_what_it_has),
        cmocka_unit_test(a_mailbox_that_nobody_opens_stays_small),
        cmocka_unit_test(no_block_is_lost_or_handed_out_twice),
        cmocka_unit_test(naming_another_node_does_not_hold_what_was_freed_there),
    };
    const struct CMUnitTest tests_of_both[] = {
        cmocka_unit_test(small_blocks_follow_the_thread_under_a_policy_for_large_ones),
    };
    int failed = cmocka_run_group_tests(tests, two_nodes_local, NULL);
    return failed + cmocka_run_group_tests(tests_of_both, two_nodes_mixed, NULL);
}
