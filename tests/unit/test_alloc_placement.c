/* Whose turn it is, how long stripes are, who touches what, and what purging may give back: the
 * arithmetic of placement. What the kernel makes of it is tested in the virtual machine. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "alloc/pool.c"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define NODES_MAX 8

struct fixture {
    struct pool pools[NODES_MAX];
    struct pool spread;
    struct rotation *rotation;
};

/* The weights of the cases here; 0 ends a row. */
static const unsigned weight_rows[][NODES_MAX + 1] = {
    {1},
    {7},
    {1, 1},
    {3, 1},
    {1, 3},
    {255, 1},
    {254, 255},
    {5, 3, 1},
    {255, 254, 1},
    {1, 1, 1, 1, 1, 1, 1, 1},
    {255, 1, 1, 1, 1, 1, 1, 1},
    {8, 7, 6, 5, 4, 3, 2, 1},
};
#define WEIGHT_ROWS (sizeof weight_rows / sizeof weight_rows[0])

static void fixture_begin(struct fixture *fixture, const unsigned *weights) {
    memset(fixture, 0, sizeof *fixture);
    struct rotation *rotation = meta_allocate(rotation_bytes(NODES_MAX));
    assert_non_null(rotation);
    for (unsigned i = 0; weights[i] != 0; i++) {
        fixture->pools[i].node = (int)i;
        rotation->turns[i] = (struct turn){&fixture->pools[i], weights[i], 0};
        rotation->weight_sum += weights[i];
        rotation->count++;
    }
    fixture->spread.node = -1;
    fixture->spread.rotation = fixture->rotation = rotation;
}

/* --- turns ----------------------------------------------------------------------------------- */

/* Hands out runs of up to `slices_max` and checks after each that no node has had `slices_max` more
 * or less than its share. */
static void check_shares(struct rotation *rotation, unsigned slices_max) {
    int64_t taken[NODES_MAX] = {0}, total = 0;
    uint64_t random = 88172645463325252;
    for (unsigned round = 0; round < 20000; round++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        unsigned slices = slices_max == 1 || random % 3 != 0 ? 1 : slices_max;
        taken[rotation_take(rotation, slices)->node] += slices;
        total += slices;
        for (unsigned i = 0; i < rotation->count; i++) {
            int64_t off = taken[i] * rotation->weight_sum - total * rotation->turns[i].weight;
            int64_t bound = (int64_t)slices_max * rotation->weight_sum;
            assert_true(off < bound && -off < bound);
        }
    }
}

static void no_node_is_ever_a_page_ahead_or_behind(void **state) {
    (void)state;
    struct fixture fixture;
    for (size_t row = 0; row < WEIGHT_ROWS; row++) {
        fixture_begin(&fixture, weight_rows[row]);
        check_shares(fixture.rotation, 1);
    }
}

static void neither_when_small_and_medium_pages_are_mixed(void **state) {
    (void)state;
    struct fixture fixture;
    for (size_t row = 0; row < WEIGHT_ROWS; row++) {
        fixture_begin(&fixture, weight_rows[row]);
        check_shares(fixture.rotation, 1U << (MEDIUM_PAGE_SHIFT - SLICE_SHIFT));
    }
}

static void a_cycle_of_turns_is_exact(void **state) {
    (void)state;
    struct fixture fixture;
    for (size_t row = 0; row < WEIGHT_ROWS; row++) {
        fixture_begin(&fixture, weight_rows[row]);
        struct rotation *rotation = fixture.rotation;
        for (unsigned cycle = 0; cycle < 3; cycle++) {
            unsigned taken[NODES_MAX] = {0};
            for (unsigned i = 0; i < rotation->weight_sum; i++)
                taken[rotation_take(rotation, 1)->node]++;
            for (unsigned i = 0; i < rotation->count; i++)
                assert_int_equal(taken[i], rotation->turns[i].weight);
        }
    }
}

static void copies_start_on_different_nodes(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_begin(&fixture, (const unsigned[]){1, 1, 1, 1, 0});
    for (unsigned offset = 0; offset < 8; offset++) {
        struct rotation *copy = rotation_copy(fixture.rotation, offset);
        assert_non_null(copy);
        assert_int_equal(rotation_take(copy, 1)->node, offset % 4);
        check_shares(rotation_copy(fixture.rotation, offset), 1);
    }
}

/* --- stripes and touching ----------------------------------------------------------------------
 */

static void stripes_take_half_of_the_mappings_left_at_most(void **state) {
    (void)state;
    for (size_t size = SLICE_SIZE; size <= 512 * GIB; size *= 2)
        for (size_t left = 0; left <= 8191; left = left * 3 / 2 + 1)
            for (size_t least = STRIPE_BYTES_MIN; least <= GIB; least *= 512) {
                size_t stripe = stripe_bytes(size, least, left);
                assert_true(is_power_of_two(stripe) && stripe >= least);
                assert_true(size / stripe <= left / 2 || stripe >= size);
                /* and are no longer than they must be */
                assert_true(stripe == least || size / (stripe / 2) > left / 2);
            }
}

/* Each range takes what it takes: the budget never runs out. */
static void the_budget_of_mappings_is_kept_for_ever(void **state) {
    (void)state;
    size_t left = 8191;
    for (unsigned range = 0; range < 1000; range++) {
        size_t size = ((size_t)range % 37 + 1) * 33 * MIB;
        size_t stripe = stripe_bytes(size, STRIPE_BYTES_MIN, left);
        size_t runs = (size + stripe - 1) / stripe; /* at most: neighbours of one node are one */
        assert_true(runs <= left / 2 + 1);
        left -= runs < left ? runs : left;
    }
}

static void touched_pieces_are_shared_out_by_weight(void **state) {
    (void)state;
    struct fixture fixture;
    for (size_t row = 0; row < WEIGHT_ROWS; row++) {
        fixture_begin(&fixture, weight_rows[row]);
        unsigned touched[NODES_MAX] = {0};
        for (unsigned i = 0; i < fixture.rotation->weight_sum; i++)
            touched[pool_toucher(&fixture.spread, (uintptr_t)3 * GIB + i * TOUCH_TURN_BYTES,
                                 TOUCH_TURN_BYTES)
                        ->node]++;
        for (unsigned i = 0; i < fixture.rotation->count; i++)
            assert_int_equal(touched[i], fixture.rotation->turns[i].weight);
    }
}

/* A transparent huge page comes whole from whoever touches it first. */
static void a_piece_is_touched_on_one_node_from_whichever_byte(void **state) {
    (void)state;
    struct fixture fixture;
    fixture_begin(&fixture, (const unsigned[]){2, 3, 0});
    for (uintptr_t piece = GIB; piece < GIB + 64 * TOUCH_TURN_BYTES; piece += TOUCH_TURN_BYTES)
        for (uintptr_t at = piece; at < piece + TOUCH_TURN_BYTES; at += SLICE_SIZE)
            assert_ptr_equal(pool_toucher(&fixture.spread, at, TOUCH_TURN_BYTES),
                             pool_toucher(&fixture.spread, piece, TOUCH_TURN_BYTES));
}

/* --- purging -----------------------------------------------------------------------------------
 */

enum { GROUP = 2 * 1024 * 1024 / SLICE_SIZE };

static struct pool purged_pool;

/* A segment, all free, in which [start, start + count) was touched and, if `idle`, is idle. */
static void segment_begin(struct segment *segment, unsigned start, unsigned count, bool idle) {
    memset(segment, 0, sizeof *segment);
    segment->pool = &purged_pool;
    slices_set(segment->free_map, 0, SEGMENT_SLICES);
    slices_set(segment->touched_map, start, count);
    if (idle)
        slices_set(segment->idle_map, start, count);
}

static unsigned count_slices(const uint64_t map[SLICE_WORDS]) {
    unsigned count = 0;
    for (unsigned word = 0; word < SLICE_WORDS; word++)
        count += (unsigned)__builtin_popcountl(map[word]);
    return count;
}

static void check_purged(const struct segment *segment, bool at_once, unsigned start,
                         unsigned count) {
    uint64_t wanted[SLICE_WORDS];
    segment_purge_map(segment, at_once, wanted);
    assert_int_equal(count_slices(wanted), count);
    if (count != 0) {
        assert_int_equal(slices_next(wanted, 0, true), start);
        assert_int_equal(slices_next(wanted, start, false), start + count);
    }
}

static void idle_slices_are_purged_one_by_one(void **state) {
    (void)state;
    struct segment segment;
    na.config.pages = PAGES_DEFAULT;
    segment_begin(&segment, 5, 1, true);
    check_purged(&segment, false, 5, 1);
    segment_begin(&segment, 5, 7, false);
    check_purged(&segment, false, 0, 0);
    check_purged(&segment, true, 5, 7);
    slices_clear(segment.free_map, 5, 7);
    check_purged(&segment, true, 0, 0);
}

static void huge_pages_are_purged_whole_or_not_at_all(void **state) {
    (void)state;
    struct segment segment;
    na.config.pages = PAGES_THP;
    segment_begin(&segment, GROUP + 3, 1, true); /* one slice may have brought a whole huge page */
    check_purged(&segment, false, GROUP, GROUP);
    check_purged(&segment, true, GROUP, GROUP);
    slices_clear(segment.free_map, 2 * GROUP - 1, 1); /* one slice of it is in use */
    check_purged(&segment, false, 0, 0);
    check_purged(&segment, true, 0, 0);
    segment_begin(&segment, 3 * GROUP, GROUP, true);
    slices_clear(segment.idle_map, 3 * GROUP + 9, 1); /* one was in use when purging last came by */
    check_purged(&segment, false, 0, 0);
    check_purged(&segment, true, 3 * GROUP, GROUP);
    segment_begin(&segment, GROUP - 1, 2, true); /* across a boundary: both sides */
    check_purged(&segment, false, 0, 2 * GROUP);
    segment_begin(&segment, 0, 0, true);
    check_purged(&segment, true, 0, 0);
    na.config.pages = PAGES_DEFAULT;
}

static void what_the_kernel_interleaves_is_purged_by_whole_huge_pages(void **state) {
    (void)state;
    struct segment segment;
    purged_pool.spread = SPREAD_KERNEL;
    purged_pool.mode = MPOL_INTERLEAVE;
    segment_begin(&segment, GROUP, 3, true);
    check_purged(&segment, false, GROUP, GROUP);
    slices_clear(segment.free_map, GROUP + 9, 1);
    check_purged(&segment, false, 0, 0);
    purged_pool.mode = MPOL_PREFERRED_MANY;
    check_purged(&segment, false, GROUP, 3);
    purged_pool.spread = SPREAD_ONE;
}

static void reserved_huge_pages_are_not_purged(void **state) {
    (void)state;
    struct segment segment;
    struct pool pool;
    memset(&pool, 0, sizeof pool);
    segment_begin(&segment, 0, SEGMENT_SLICES, true);
    segment.pool = &pool;
    segment.reserved_pages = true;
    assert_int_equal(segment_purge(&segment, true, SEGMENT_SLICES + 1), 0);
    assert_false(segment_mark_idle(&segment));
    assert_int_equal(count_slices(segment.touched_map), SEGMENT_SLICES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_node_is_ever_a_page_ahead_or_behind),
        cmocka_unit_test(neither_when_small_and_medium_pages_are_mixed),
        cmocka_unit_test(a_cycle_of_turns_is_exact),
        cmocka_unit_test(copies_start_on_different_nodes),
        cmocka_unit_test(stripes_take_half_of_the_mappings_left_at_most),
        cmocka_unit_test(the_budget_of_mappings_is_kept_for_ever),
        cmocka_unit_test(touched_pieces_are_shared_out_by_weight),
        cmocka_unit_test(a_piece_is_touched_on_one_node_from_whichever_byte),
        cmocka_unit_test(idle_slices_are_purged_one_by_one),
        cmocka_unit_test(huge_pages_are_purged_whole_or_not_at_all),
        cmocka_unit_test(what_the_kernel_interleaves_is_purged_by_whole_huge_pages),
        cmocka_unit_test(reserved_huge_pages_are_not_purged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
