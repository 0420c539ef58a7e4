/* The ring of the latency walk: one cycle, proven by walking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lib/ring.h"

#define SLOTS 1000

static void *ring_memory(size_t slots) {
    void *memory = aligned_alloc(RING_SLOT_BYTES, slots * RING_SLOT_BYTES);
    assert_non_null(memory);
    memset(memory, 0, slots * RING_SLOT_BYTES);
    return memory;
}

static void ring_of_any_size_is_one_cycle(void **state) {
    (void)state;
    for (size_t slots = 2; slots <= 300; slots++) {
        void *memory = ring_memory(slots);
        void **first = ring_build(memory, slots * RING_SLOT_BYTES, slots);
        assert_non_null(first);
        assert_int_equal(ring_length(first, memory, slots * RING_SLOT_BYTES), slots);
        free(memory);
    }
}

static void every_slot_holds_one_pointer_of_the_ring(void **state) {
    char visited[SLOTS] = {0};
    char *memory = ring_memory(SLOTS);
    void **at = ring_build(memory, SLOTS * RING_SLOT_BYTES, 1);
    (void)state;
    for (size_t i = 0; i < SLOTS; i++, at = *at)
        visited[(size_t)((char *)at - memory) / RING_SLOT_BYTES]++;
    for (size_t i = 0; i < SLOTS; i++)
        assert_int_equal(visited[i], 1);
    free(memory);
}

/* Each line of the slots is used by about a quarter of them, so all sets of a cache are. */
static void pointers_use_all_lines_of_a_slot(void **state) {
    size_t on_line[RING_SLOT_BYTES / RING_LINE_BYTES] = {0};
    char *memory = ring_memory(SLOTS);
    void **at = ring_build(memory, SLOTS * RING_SLOT_BYTES, 1);
    (void)state;
    for (size_t i = 0; i < SLOTS; i++, at = *at) {
        size_t offset = (size_t)((char *)at - memory) % RING_SLOT_BYTES;
        assert_int_equal(offset % RING_LINE_BYTES, 0);
        on_line[offset / RING_LINE_BYTES]++;
    }
    for (size_t line = 0; line < RING_SLOT_BYTES / RING_LINE_BYTES; line++)
        assert_in_range(on_line[line], SLOTS / 5, SLOTS * 3 / 10);
    free(memory);
}

/* A stride that prefetchers could follow would show as a common distance between neighbours. */
static void order_is_not_a_stride(void **state) {
    size_t next_slot = 0;
    char *memory = ring_memory(SLOTS);
    void **at = ring_build(memory, SLOTS * RING_SLOT_BYTES, 1);
    (void)state;
    for (size_t i = 0; i < SLOTS; i++) {
        char *next = *at;
        ptrdiff_t step = next - (char *)at;
        next_slot += step > 0 && step < 2 * RING_SLOT_BYTES;
        at = (void **)next;
    }
    assert_in_range(next_slot, 0, SLOTS / 50);
    free(memory);
}

static void seed_decides_the_order(void **state) {
    size_t size_bytes = SLOTS * RING_SLOT_BYTES;
    char *one = ring_memory(SLOTS), *other = ring_memory(SLOTS);
    (void)state;
    void **a = ring_build(one, size_bytes, 1), **b = ring_build(other, size_bytes, 1);
    for (size_t i = 0; i < SLOTS; i++, a = *a, b = *b)
        assert_int_equal((char *)a - one, (char *)b - other);
    a = ring_build(one, size_bytes, 1);
    b = ring_build(other, size_bytes, 2);
    size_t same = 0;
    for (size_t i = 0; i < SLOTS; i++, a = *a, b = *b)
        same += (char *)a - one == (char *)b - other;
    assert_in_range(same, 1, SLOTS / 20);
    free(one);
    free(other);
}

/* A pointer that skips ahead leaves a shorter ring. */
static void a_cut_ring_is_found(void **state) {
    size_t size_bytes = SLOTS * RING_SLOT_BYTES;
    void *memory = ring_memory(SLOTS);
    void **first = ring_build(memory, size_bytes, 1);
    (void)state;
    void **second = *first;
    *first = *second;
    assert_int_equal(ring_length(first, memory, size_bytes), SLOTS - 1);
    free(memory);
}

/* A walk that falls into a loop without its start never comes back. */
static void a_loop_that_misses_the_start_is_found(void **state) {
    size_t size_bytes = SLOTS * RING_SLOT_BYTES;
    void *memory = ring_memory(SLOTS);
    void **first = ring_build(memory, size_bytes, 1);
    (void)state;
    void **second = *first;
    *second = second;
    assert_int_equal(ring_length(first, memory, size_bytes), 0);
    free(memory);
}

static void a_pointer_out_of_the_memory_is_found(void **state) {
    size_t size_bytes = SLOTS * RING_SLOT_BYTES;
    char *memory = ring_memory(SLOTS);
    void **first = ring_build(memory, size_bytes, 1);
    (void)state;
    void **second = *first;
    void *const outside[] = {NULL, memory + size_bytes, (char *)first + 1};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        *second = outside[i];
        assert_int_equal(ring_length(first, memory, size_bytes), 0);
    }
    free(memory);
}

static void chase_follows_whole_turns(void **state) {
    size_t size_bytes = SLOTS * RING_SLOT_BYTES;
    void *memory = ring_memory(SLOTS);
    void **first = ring_build(memory, size_bytes, 1);
    (void)state;
    assert_ptr_equal(ring_chase(first, 0), first);
    void **at = first;
    for (size_t i = 0; i < RING_UNROLL; i++)
        at = *at;
    assert_ptr_equal(ring_chase(first, 1), at);
    assert_ptr_equal(ring_chase(first, SLOTS * RING_UNROLL), first);
    free(memory);
}

static void too_small_or_too_large_is_refused(void **state) {
    char memory[RING_SLOT_BYTES * 2];
    (void)state;
    errno = 0;
    assert_null(ring_build(memory, 2 * RING_SLOT_BYTES - 1, 1));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(ring_build(memory, ((size_t)UINT32_MAX + 1) * RING_SLOT_BYTES, 1));
    assert_int_equal(errno, EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_of_any_size_is_one_cycle),
        cmocka_unit_test(every_slot_holds_one_pointer_of_the_ring),
        cmocka_unit_test(pointers_use_all_lines_of_a_slot),
        cmocka_unit_test(order_is_not_a_stride),
        cmocka_unit_test(seed_decides_the_order),
        cmocka_unit_test(a_cut_ring_is_found),
        cmocka_unit_test(a_loop_that_misses_the_start_is_found),
        cmocka_unit_test(a_pointer_out_of_the_memory_is_found),
        cmocka_unit_test(chase_follows_whole_turns),
        cmocka_unit_test(too_small_or_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
