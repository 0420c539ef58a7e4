/* Blocks pass between threads: none is given twice, and each goes home when freed. */
#include "promises.h"

enum { BLOCKS = 20000, THREADS = 8 };

static int by_address(const void *left, const void *right) {
    uintptr_t a = *(const uintptr_t *)left, b = *(const uintptr_t *)right;
    return (a > b) - (a < b);
}

static void *free_all(void *argument) {
    void **blocks = argument;
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    return NULL;
}

static size_t count_of_known(void *const *blocks, void *const *sorted_known) {
    size_t known = 0;
    for (size_t i = 0; i < BLOCKS; i++)
        known += bsearch(&blocks[i], sorted_known, BLOCKS, sizeof *sorted_known, by_address) != 0;
    return known;
}

static void free_from_another_thread_is_reused_by_owner(void **state) {
    (void)state;
    static void *first[BLOCKS], *second[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        first[i] = malloc(112);
        assert_non_null(first[i]);
    }
    assert_int_equal(in_thread(free_all, first), 0);
    for (size_t i = 0; i < BLOCKS; i++) {
        second[i] = malloc(112);
        assert_non_null(second[i]);
    }
    qsort(first, BLOCKS, sizeof *first, by_address);
    assert_true(count_of_known(second, first) > BLOCKS / 2);
    for (size_t i = 0; i < BLOCKS; i++)
        free(second[i]);
}

struct stranger {
    void **owned;        /* the main thread's blocks, which this thread frees */
    void *taken[BLOCKS]; /* and what it gets for itself afterwards */
};

static void *free_then_allocate(void *argument) {
    struct stranger *stranger = argument;
    free_all(stranger->owned);
    for (size_t i = 0; i < BLOCKS; i++)
        stranger->taken[i] = malloc(176);
    return NULL;
}

/* Node purity rests on this: the owner lives, so its page is not for the thread that frees. */
static void free_goes_home_whichever_thread_frees(void **state) {
    (void)state;
    static void *owned[BLOCKS];
    static struct stranger stranger = {.owned = owned};
    for (size_t i = 0; i < BLOCKS; i++) {
        owned[i] = malloc(176);
        assert_non_null(owned[i]);
    }
    assert_int_equal(in_thread(free_then_allocate, &stranger), 0);
    qsort(owned, BLOCKS, sizeof *owned, by_address);
    assert_int_equal(count_of_known(stranger.taken, owned), 0);
    free_all(stranger.taken);
}

/* Each thread fills its own blocks; a block given to two threads shows the other's pattern. */
static void *allocate_fill_check_free(void *argument) {
    atomic_size_t *next_seed = argument;
    enum { OWN = 3000 };
    void **blocks = calloc(OWN, sizeof *blocks);
    size_t sizes[OWN], failures = blocks == NULL;
    uint64_t seed = atomic_fetch_add(next_seed, 1) + 1, random = seed * 7919;
    for (size_t i = 0; i < OWN && blocks != NULL; i++) {
        sizes[i] = random_size(&random);
        blocks[i] = malloc(sizes[i]);
        if (blocks[i] == NULL)
            return (void *)1;
        pattern_write(blocks[i], sizes[i], seed * 100000 + i);
    }
    for (size_t i = 0; i < OWN && blocks != NULL; i++) {
        failures += !pattern_holds(blocks[i], sizes[i], seed * 100000 + i);
        free(blocks[i]);
    }
    free(blocks);
    return (void *)failures;
}

static void blocks_of_different_threads_never_overlap(void **state) {
    (void)state;
    atomic_size_t next_seed = 0;
    for (size_t round = 0; round < 5; round++)
        assert_int_equal(run_threads(THREADS, allocate_fill_check_free, &next_seed), 0);
}

static void two_hundred_threads_at_once_allocate(void **state) {
    (void)state;
    atomic_size_t next_seed = 0;
    assert_int_equal(run_threads(200, allocate_fill_check_free, &next_seed), 0);
}

/* --- Producer and consumer -------------------------------------------------------------------- */

enum { RING = 512 };

struct ring {
    _Atomic(size_t *) slots[RING]; /* NULL: empty. A block starts with its size. */
    size_t messages;
    atomic_size_t failures, early_bytes, late_bytes;
};

static size_t *make_message(uint64_t *random) {
    size_t size = 16 + random_size(random) / 4;
    size_t *message = malloc(size);
    if (message != NULL) {
        *message = size;
        pattern_write(message + 1, size - sizeof size, size);
    }
    return message;
}

static size_t end_message(size_t *message) {
    size_t failures = !pattern_holds(message + 1, *message - sizeof *message, *message);
    free(message);
    return failures;
}

static void *produce(void *argument) {
    struct ring *ring = argument;
    uint64_t random = 17;
    for (size_t i = 0; i < ring->messages; i++) {
        size_t *message = make_message(&random), *expected = NULL;
        if (message == NULL)
            return (void *)1;
        while (!atomic_compare_exchange_weak(&ring->slots[i % RING], &expected, message)) {
            expected = NULL;
            sched_yield();
        }
    }
    return NULL;
}

static void *consume(void *argument) {
    struct ring *ring = argument;
    for (size_t i = 0; i < ring->messages; i++) {
        size_t *message;
        while ((message = atomic_exchange(&ring->slots[i % RING], NULL)) == NULL)
            sched_yield();
        ring->failures += end_message(message);
        if (i == ring->messages / 4)
            ring->early_bytes = resident_bytes();
    }
    ring->late_bytes = resident_bytes();
    return NULL;
}

static void consumed_messages_are_whole_and_memory_is_flat(void **state) {
    (void)state;
    static struct ring ring = {.messages = 400000};
    pthread_t producer, consumer;
    assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
    assert_int_equal(pthread_create(&consumer, NULL, consume, &ring), 0);
    void *failed = NULL;
    pthread_join(producer, &failed);
    assert_null(failed);
    pthread_join(consumer, NULL);
    assert_int_equal(ring.failures, 0);
    assert_true(ring.late_bytes < ring.early_bytes + 24 * MIB);
}

/* A chain: each thread frees its neighbour's blocks, allocates anew and passes those on. */
struct chain {
    _Atomic(size_t *) mailboxes[THREADS];
    atomic_size_t next_thread;
    size_t rounds;
};

static void *pass_on(void *argument) {
    struct chain *chain = argument;
    size_t self = atomic_fetch_add(&chain->next_thread, 1), failures = 0;
    uint64_t random = 1 + self;
    for (size_t i = 0; i < chain->rounds; i++) {
        size_t *mine = make_message(&random);
        if (mine == NULL)
            return (void *)1;
        size_t *previous = atomic_exchange(&chain->mailboxes[(self + 1) % THREADS], mine);
        if (previous != NULL)
            failures += end_message(previous);
        size_t *received = atomic_exchange(&chain->mailboxes[self], NULL);
        if (received != NULL)
            failures += end_message(received);
    }
    return (void *)failures;
}

static void a_ring_of_threads_frees_each_others_blocks(void **state) {
    (void)state;
    static struct chain chain = {.rounds = 50000};
    assert_int_equal(run_threads(THREADS, pass_on, &chain), 0);
    for (size_t i = 0; i < THREADS; i++)
        if (chain.mailboxes[i] != NULL)
            assert_int_equal(end_message(chain.mailboxes[i]), 0);
}

/* Blocks made in bulk here and freed in bulk there, again and again, use the same memory. */
static void memory_is_flat_when_one_thread_makes_and_others_free(void **state) {
    (void)state;
    static void *blocks[BLOCKS];
    size_t before = 0;
    for (size_t round = 0; round < 60; round++) {
        if (round == 10)
            before = resident_bytes();
        for (size_t i = 0; i < BLOCKS; i++) {
            size_t *block = blocks[i] = malloc(64 + i % 200);
            assert_non_null(block);
            *block = i;
        }
        assert_int_equal(in_thread(free_all, blocks), 0);
    }
    assert_true(resident_bytes() < before + 16 * MIB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_from_another_thread_is_reused_by_owner),
        cmocka_unit_test(free_goes_home_whichever_thread_frees),
        cmocka_unit_test(blocks_of_different_threads_never_overlap),
        cmocka_unit_test(two_hundred_threads_at_once_allocate),
        cmocka_unit_test(consumed_messages_are_whole_and_memory_is_flat),
        cmocka_unit_test(a_ring_of_threads_frees_each_others_blocks),
        cmocka_unit_test(memory_is_flat_when_one_thread_makes_and_others_free),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
