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

#define SLOTS      1000
#define SIZE_BYTES (SLOTS * RING_SLOT_BYTES)
#define LINES      (SLOTS * RING_LAPS)

/* Builds a ring in new memory; free(ring.memory) gives it back. */
static struct ring new_ring(size_t slots, uint64_t seed) {
    struct ring ring;
    char *memory = aligned_alloc(RING_SLOT_BYTES, slots * RING_SLOT_BYTES);
    assert_non_null(memory);
    memset(memory, 0, slots * RING_SLOT_BYTES);
    assert_int_equal(ring_build(&ring, memory, slots * RING_SLOT_BYTES, seed), 0);
    return ring;
}

static void free_ring(const struct ring *ring) {
    free((void *)(uintptr_t)ring->memory);
}

static size_t offset_of(const struct ring *ring, void **at) {
    return (size_t)((const char *)at - (const char *)ring->memory);
}

static void ring_of_any_size_is_whole(void **state) {
    (void)state;
    for (size_t slots = 2; slots <= 300; slots++) {
        struct ring ring = new_ring(slots, slots);
        assert_int_equal(ring.slots, slots);
        assert_true(ring_is_whole(&ring));
        free_ring(&ring);
    }
}

/* Counted by plain walking: the proof that ring_is_whole is checked against. */
static void ring_visits_every_line_once_and_comes_back(void **state) {
    static char visited[LINES];
    struct ring ring = new_ring(SLOTS, 1);
    (void)state;
    void **at = ring.starts[0];
    for (size_t i = 0; i < LINES; i++, at = *at) {
        assert_int_equal(offset_of(&ring, at) % RING_LINE_BYTES, 0);
        visited[offset_of(&ring, at) / RING_LINE_BYTES]++;
    }
    assert_ptr_equal(at, ring.starts[0]);
    for (size_t i = 0; i < LINES; i++)
        assert_int_equal(visited[i], 1);
    free_ring(&ring);
}

static void a_lap_visits_every_slot_once(void **state) {
    struct ring ring = new_ring(SLOTS, 1);
    (void)state;
    void **at = ring.starts[0];
    for (size_t lap = 0; lap < RING_LAPS; lap++) {
        char visited[SLOTS] = {0};
        assert_ptr_equal(at, ring.starts[lap * RING_STARTS / RING_LAPS]);
        for (size_t i = 0; i < SLOTS; i++, at = *at)
            visited[offset_of(&ring, at) / RING_SLOT_BYTES]++;
        for (size_t i = 0; i < SLOTS; i++)
            assert_int_equal(visited[i], 1);
    }
    free_ring(&ring);
}

/* Each line of the slots is used by about a quarter of them in a lap, so all sets of a cache are.
 */
static void a_lap_uses_all_lines_of_a_slot(void **state) {
    size_t on_line[RING_LAPS] = {0};
    struct ring ring = new_ring(SLOTS, 1);
    (void)state;
    void **at = ring.starts[0];
    for (size_t i = 0; i < SLOTS; i++, at = *at)
        on_line[offset_of(&ring, at) % RING_SLOT_BYTES / RING_LINE_BYTES]++;
    for (size_t line = 0; line < RING_LAPS; line++)
        assert_in_range(on_line[line], SLOTS / 5, SLOTS * 3 / 10);
    free_ring(&ring);
}

/* The other half of a 128-byte pair is used two laps later or earlier, never in the next lap. */
static void paired_lines_are_two_laps_apart(void **state) {
    static size_t lap_of[LINES];
    struct ring ring = new_ring(SLOTS, 1);
    (void)state;
    void **at = ring.starts[0];
    for (size_t i = 0; i < LINES; i++, at = *at)
        lap_of[offset_of(&ring, at) / RING_LINE_BYTES] = i / SLOTS;
    for (size_t line = 0; line < LINES; line += 2)
        assert_int_equal((lap_of[line] + 2) % RING_LAPS, lap_of[line + 1]);
    free_ring(&ring);
}

/* A stride that prefetchers could follow would show as neighbours that follow each other. */
static void order_is_not_a_stride(void **state) {
    size_t next_slot = 0;
    struct ring ring = new_ring(SLOTS, 1);
    (void)state;
    void **at = ring.starts[0];
    for (size_t i = 0; i < LINES; i++) {
        void **next = *at;
        size_t from = offset_of(&ring, at) / RING_SLOT_BYTES;
        size_t to = offset_of(&ring, next) / RING_SLOT_BYTES;
        next_slot += to == from + 1 || from == to + 1;
        at = next;
    }
    assert_in_range(next_slot, 0, LINES / 50);
    free_ring(&ring);
}

static size_t same_places(const struct ring *one, const struct ring *other) {
    size_t same = 0;
    void **a = one->starts[0], **b = other->starts[0];
    for (size_t i = 0; i < SLOTS; i++, a = *a, b = *b)
        same += offset_of(one, a) == offset_of(other, b);
    return same;
}

static void seed_decides_the_order(void **state) {
    struct ring one = new_ring(SLOTS, 1), again = new_ring(SLOTS, 1), other = new_ring(SLOTS, 2);
    (void)state;
    assert_int_equal(same_places(&one, &again), SLOTS);
    assert_in_range(same_places(&one, &other), 1, SLOTS / 20);
    free_ring(&one);
    free_ring(&again);
    free_ring(&other);
}

/* In every lap: a pointer that skips one leaves a shorter ring, one to itself or to the start of
 * the memory a loop, and one out of the memory no ring at all. */
static void a_ring_cut_anywhere_is_found(void **state) {
    struct ring ring = new_ring(SLOTS, 1);
    (void)state;
    void **at = ring.starts[0];
    for (size_t i = 0; i < LINES; i += 97) {
        void **second = *at;
        char *end = (char *)(uintptr_t)ring.memory + SIZE_BYTES;
        void *const wrong[] = {*second, at, ring.starts[0], NULL, end, (char *)second + 1};
        for (size_t w = 0; w < sizeof wrong / sizeof wrong[0]; w++) {
            void *right = *at;
            *at = wrong[w];
            assert_false(ring_is_whole(&ring));
            *at = right;
        }
        assert_true(ring_is_whole(&ring));
        for (size_t step = 0; step < 97; step++)
            at = *at;
    }
    free_ring(&ring);
}

/* Laps that each close on themselves are four rings, not one. */
static void four_short_rings_are_found(void **state) {
    struct ring ring = new_ring(SLOTS, 1);
    void **at = ring.starts[0];
    (void)state;
    for (size_t lap = 0; lap < RING_LAPS; lap++) {
        void **last = at;
        for (size_t i = 0; i < SLOTS; i++, at = *at)
            last = at;
        *last = ring.starts[lap * RING_STARTS / RING_LAPS];
    }
    assert_false(ring_is_whole(&ring));
    free_ring(&ring);
}

static void chase_follows_whole_turns(void **state) {
    struct ring ring = new_ring(SLOTS, 1);
    void **first = ring.starts[0];
    (void)state;
    assert_ptr_equal(ring_chase(first, 0), first);
    void **at = first;
    for (size_t i = 0; i < RING_UNROLL; i++)
        at = *at;
    assert_ptr_equal(ring_chase(first, 1), at);
    assert_ptr_equal(ring_chase(first, LINES * RING_UNROLL), first);
    free_ring(&ring);
}

static void too_small_or_too_large_is_refused(void **state) {
    char memory[RING_SLOT_BYTES * 2];
    struct ring ring;
    (void)state;
    assert_int_equal(ring_build(&ring, memory, 2 * RING_SLOT_BYTES - 1, 1), EINVAL);
    assert_int_equal(ring_build(&ring, memory, ((size_t)UINT32_MAX + 1) * RING_SLOT_BYTES, 1),
                     EINVAL);
}

/* Walks the ring by plain loads: every line once, and back. */
static void assert_each_line_once(const struct ring *ring) {
    size_t lines = ring->size_bytes / RING_LINE_BYTES, seen = 0;
    char *visited = calloc(lines, 1);
    void **at = ring->starts[0];
    assert_non_null(visited);
    for (size_t i = 0; i < ring->lines; i++, at = *at) {
        seen += visited[offset_of(ring, at) / RING_LINE_BYTES] == 0;
        visited[offset_of(ring, at) / RING_LINE_BYTES] = 1;
    }
    assert_ptr_equal(at, ring->starts[0]);
    assert_int_equal(seen, ring->lines);
    free(visited);
}

static struct ring lay(const struct ring_shape *shape, size_t size_bytes) {
    struct ring ring;
    void *memory = aligned_alloc(RING_SLOT_MAX_BYTES, size_bytes);
    assert_non_null(memory);
    memset(memory, 0, size_bytes);
    assert_int_equal(ring_lay(&ring, memory, size_bytes, shape, 1), 0);
    return ring;
}

static void every_shape_is_one_ring_over_every_line(void **state) {
    static const struct ring_shape shapes[] = {
        {64, false, 0},        {256, false, 0},         {4096, false, 0},
        {65536, false, 0},     {64, true, 0},           {256, true, 0},
        {4096, true, 0},       {65536, true, 0},        {256, false, 4096},
        {256, false, 1 << 18}, {64, false, 4096},       {256, false, 256},
        {256, false, 768},     {256, false, 700 << 10}, {64, false, (1 << 20) - 64},
    };
    const size_t size_bytes = 1 << 20;
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct ring ring = lay(&shapes[i], size_bytes);
        assert_int_equal(ring.lines, size_bytes / RING_LINE_BYTES);
        assert_each_line_once(&ring);
        assert_true(ring_is_whole(&ring));
        void **second = *ring.starts[5];
        *ring.starts[5] = *second;
        assert_false(ring_is_whole(&ring));
        free_ring(&ring);
    }
}

static void a_stride_is_what_it_says(void **state) {
    struct ring ring = lay(&(struct ring_shape){.slot_bytes = 1024, .in_order = true}, 1 << 20);
    void **at = ring.starts[0];
    (void)state;
    for (size_t i = 0; i + 1 < ring.slots; i++, at = *at)
        assert_int_equal((char *)*at - (char *)at, 1024);
    free_ring(&ring);
}

/* All slots of a group of 16 follow each other before another group's come. */
static void a_lap_stays_in_a_group_until_it_is_done(void **state) {
    const size_t group_bytes = 4096, group_slots = 16;
    struct ring ring =
        lay(&(struct ring_shape){.slot_bytes = 256, .group_bytes = group_bytes}, 1 << 20);
    void **at = ring.starts[0];
    size_t in_a_row = 0;
    (void)state;
    for (size_t i = 0; i < ring.slots; i++) {
        size_t group = offset_of(&ring, at) / group_bytes;
        for (size_t k = 1; k < group_slots; k++, i++) {
            at = *at;
            assert_int_equal(offset_of(&ring, at) / group_bytes, group);
        }
        at = *at;
        in_a_row += offset_of(&ring, at) / group_bytes == group + 1;
    }
    assert_in_range(in_a_row, 0, ring.slots / group_slots / 10);
    free_ring(&ring);
}

static void starts_are_an_equal_number_of_loads_apart(void **state) {
    struct ring ring = new_ring(SLOTS, 1);
    void **at = ring.starts[0];
    (void)state;
    for (size_t i = 0; i < LINES; i++, at = *at)
        if (i % (LINES / RING_STARTS) == 0)
            assert_ptr_equal(at, ring.starts[i / (LINES / RING_STARTS)]);
    free_ring(&ring);
}

static void chains_side_by_side_each_follow_the_ring(void **state) {
    struct ring ring = new_ring(SLOTS, 1);
    (void)state;
    for (size_t chains = 1; chains <= RING_STARTS; chains++) {
        void **at[RING_STARTS];
        for (size_t i = 0; i < RING_STARTS; i++)
            at[i] = ring.starts[i];
        ring_chase_many(at, chains, 3 * RING_UNROLL - 1);
        for (size_t i = 0; i < RING_STARTS; i++)
            assert_ptr_equal(at[i], i < chains ? ring_chase(ring.starts[i], 3 * RING_UNROLL)
                                               : ring.starts[i]);
    }
    free_ring(&ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_of_any_size_is_whole),
        cmocka_unit_test(ring_visits_every_line_once_and_comes_back),
        cmocka_unit_test(a_lap_visits_every_slot_once),
        cmocka_unit_test(a_lap_uses_all_lines_of_a_slot),
        cmocka_unit_test(paired_lines_are_two_laps_apart),
        cmocka_unit_test(order_is_not_a_stride),
        cmocka_unit_test(seed_decides_the_order),
        cmocka_unit_test(a_ring_cut_anywhere_is_found),
        cmocka_unit_test(four_short_rings_are_found),
        cmocka_unit_test(chase_follows_whole_turns),
        cmocka_unit_test(every_shape_is_one_ring_over_every_line),
        cmocka_unit_test(a_stride_is_what_it_says),
        cmocka_unit_test(a_lap_stays_in_a_group_until_it_is_done),
        cmocka_unit_test(starts_are_an_equal_number_of_loads_apart),
        cmocka_unit_test(chains_side_by_side_each_follow_the_ring),
        cmocka_unit_test(too_small_or_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
