/* errno: kept by free, set to ENOMEM by what cannot be had, left alone by posix_memalign's EINVAL.
 */
#include "promises.h"

static const size_t sizes[] = {0, 1, 100, 4096, 70000, 300000, 5 * MIB, 64 * MIB};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void free_keeps_errno(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        void *block = malloc(sizes[i]);
        assert_non_null(block);
        errno = 1234;
        free(block);
        assert_int_equal(errno, 1234);
    }
    errno = 4321;
    free(NULL);
    assert_int_equal(errno, 4321);
}

static void *free_and_compare_errno(void *block) {
    errno = 1234;
    free(block);
    return (void *)(size_t)(errno != 1234);
}

static void free_in_another_thread_keeps_errno(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        assert_int_equal(in_thread(free_and_compare_errno, malloc(sizes[i])), 0);
}

static void free_of_aligned_blocks_keeps_errno(void **state) {
    (void)state;
    for (size_t alignment = 32; alignment <= 256 * MIB; alignment *= 2) {
        void *block = memalign(alignment, 1000);
        assert_non_null(block);
        errno = 99;
        free(block);
        assert_int_equal(errno, 99);
    }
}

/* Blocks are freed in bulk, so that whole pages and segments go back to the kernel on the way. */
static void free_that_returns_memory_to_the_kernel_keeps_errno(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(20000);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, 20000);
    }
    for (size_t i = 0; i < COUNT; i++) {
        errno = 77;
        free(blocks[i]);
        assert_int_equal(errno, 77);
    }
}

static void malloc_above_ptrdiff_max_sets_enomem(void **state) {
    (void)state;
    for (size_t excess = 1; excess < 70000; excess += 1 + excess / 3) {
        errno = 0;
        assert_null(malloc(opaque((size_t)PTRDIFF_MAX + excess)));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(malloc(opaque(SIZE_MAX - excess + 1)));
        assert_int_equal(errno, ENOMEM);
    }
}

static void malloc_beyond_the_address_space_sets_enomem(void **state) {
    (void)state;
    const size_t beyond[] = {(size_t)1 << 48, (size_t)1 << 56, (size_t)PTRDIFF_MAX - 4096,
                             (size_t)PTRDIFF_MAX};
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++) {
        errno = 0;
        assert_null(malloc(opaque(beyond[i])));
        assert_int_equal(errno, ENOMEM);
    }
}

static void calloc_above_ptrdiff_max_sets_enomem(void **state) {
    (void)state;
    errno = 0;
    assert_null(calloc(1, opaque((size_t)PTRDIFF_MAX + 1)));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(calloc(opaque(SIZE_MAX), 1));
    assert_int_equal(errno, ENOMEM);
}

static void realloc_above_ptrdiff_max_sets_enomem_and_keeps_the_block(void **state) {
    (void)state;
    for (size_t i = 1; i < SIZES; i++) {
        void *block = malloc(sizes[i]);
        assert_non_null(block);
        pattern_write(block, sizes[i], i);
        const size_t absurd[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 4096,
                                 (size_t)1 << 56};
        for (size_t j = 0; j < sizeof absurd / sizeof *absurd; j++) {
            errno = 0;
            assert_null(realloc(opaque_pointer(block), opaque(absurd[j])));
            assert_int_equal(errno, ENOMEM);
        }
        assert_true(pattern_holds(block, sizes[i], i));
        free(block);
    }
}

static void aligned_forms_above_ptrdiff_max_set_enomem(void **state) {
    (void)state;
    const size_t absurd[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX - 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++)
        for (size_t alignment = 16; alignment <= 64 * MIB; alignment *= 8) {
            errno = 0;
            assert_null(memalign(alignment, opaque(absurd[i])));
            assert_int_equal(errno, ENOMEM);
            errno = 0;
            assert_null(aligned_alloc(alignment, opaque(absurd[i])));
            assert_int_equal(errno, ENOMEM);
        }
}

static void valloc_and_pvalloc_above_ptrdiff_max_set_enomem(void **state) {
    (void)state;
    const size_t absurd[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4095, SIZE_MAX - 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
        errno = 0;
        assert_null(valloc(opaque(absurd[i])));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(pvalloc(opaque(absurd[i])));
        assert_int_equal(errno, ENOMEM);
    }
}

static void posix_memalign_returns_einval_for_a_bad_alignment(void **state) {
    (void)state;
    const size_t bad[] = {0, 1, 2, 4, 3, 7, 9, 12, 24, 48, 100, 4097, 3 * 4096, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *block = (void *)0x5a5a;
        errno = 55;
        assert_int_equal(posix_memalign(&block, opaque(bad[i]), 64), EINVAL);
        assert_ptr_equal(block, (void *)0x5a5a);
        assert_int_equal(errno, 55);
    }
}

static void posix_memalign_returns_enomem_and_leaves_the_pointer_alone(void **state) {
    (void)state;
    const size_t absurd[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 64, (size_t)1 << 56};
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++)
        for (size_t alignment = sizeof(void *); alignment <= MIB; alignment *= 16) {
            void *block = (void *)0x5a5a;
            errno = 55;
            assert_int_equal(posix_memalign(&block, alignment, opaque(absurd[i])), ENOMEM);
            assert_ptr_equal(block, (void *)0x5a5a);
            assert_int_equal(errno, ENOMEM); /* as in glibc */
        }
}

/* glibc's memalign rounds up; its aligned_alloc does too up to 2.37 and refuses from 2.38 on. */
static void alignments_that_are_no_power_of_two_are_rounded_up_or_refused(void **state) {
    (void)state;
    for (size_t alignment = 3; alignment < 5000; alignment += 2) {
        void *(*const forms[])(size_t, size_t) = {memalign, aligned_alloc};
        for (size_t form = 0; form < 2; form++) {
            errno = 0;
            void *block = forms[form](opaque(alignment), 100);
            if (block == NULL) {
                assert_int_equal(errno, EINVAL);
                continue;
            }
            size_t rounded_up = 1;
            while (rounded_up < alignment)
                rounded_up *= 2;
            assert_true(is_aligned(block, rounded_up));
            free(block);
        }
    }
}

static void absurd_alignments_are_refused(void **state) {
    (void)state;
    const size_t absurd[] = {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 2, (size_t)1 << 62};
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
        errno = 0;
        assert_null(memalign(opaque(absurd[i]), 64));
        assert_true(errno == EINVAL || errno == ENOMEM);
        errno = 0;
        assert_null(aligned_alloc(opaque(absurd[i]), 64));
        assert_true(errno == EINVAL || errno == ENOMEM);
    }
}

/* Fills the address space allowed, block by block, until the kernel says no. */
static int exhaust_address_space(void *size_pointer) {
    size_t size = *(size_t *)size_pointer, count = 0;
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = 0;
    setrlimit(RLIMIT_AS, &limit); /* nothing more from the kernel */
    void **last = NULL;
    errno = 0;
    for (void **block; count < 10 * 1000 * 1000; count++, last = block) {
        block = malloc(size);
        if (block == NULL)
            break;
        *block = last;
    }
    if (errno != ENOMEM)
        return 1;
    while (last != NULL) {
        void *before = *last;
        free(last);
        last = before;
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
    void *after = malloc(size); /* and is itself again when it may */
    if (after == NULL)
        return 2;
    memset(after, 1, size);
    free(after);
    return 0;
}

static void malloc_sets_enomem_when_the_kernel_has_no_more_and_recovers(void **state) {
    (void)state;
    const size_t tried[] = {64 * KIB, 3 * MIB, 40 * MIB};
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        size_t size = tried[i];
        assert_int_equal(in_child(exhaust_address_space, &size), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(free_keeps_errno),
        cmocka_unit_test(free_in_another_thread_keeps_errno),
        cmocka_unit_test(free_of_aligned_blocks_keeps_errno),
        cmocka_unit_test(free_that_returns_memory_to_the_kernel_keeps_errno),
        cmocka_unit_test(malloc_above_ptrdiff_max_sets_enomem),
        cmocka_unit_test(malloc_beyond_the_address_space_sets_enomem),
        cmocka_unit_test(calloc_above_ptrdiff_max_sets_enomem),
        cmocka_unit_test(realloc_above_ptrdiff_max_sets_enomem_and_keeps_the_block),
        cmocka_unit_test(aligned_forms_above_ptrdiff_max_set_enomem),
        cmocka_unit_test(valloc_and_pvalloc_above_ptrdiff_max_set_enomem),
        cmocka_unit_test(posix_memalign_returns_einval_for_a_bad_alignment),
        cmocka_unit_test(posix_memalign_returns_enomem_and_leaves_the_pointer_alone),
        cmocka_unit_test(alignments_that_are_no_power_of_two_are_rounded_up_or_refused),
        cmocka_unit_test(absurd_alignments_are_refused),
        cmocka_unit_test(malloc_sets_enomem_when_the_kernel_has_no_more_and_recovers),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
