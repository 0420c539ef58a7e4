/*
 * operator new and delete, in every form of C++17, called by their symbol names (Itanium C++ ABI,
 * section 5.1): a C program must not link the C++ runtime for it.
 */
#include "promises.h"

/* Calls that differ in what C++ passes beside the size and the pointer. */
typedef void *(*new_plain)(size_t);
typedef void *(*new_aligned)(size_t, size_t);
typedef void *(*new_nothrow)(size_t, const void *);
typedef void *(*new_aligned_nothrow)(size_t, size_t, const void *);
typedef void (*delete_plain)(void *);
typedef void (*delete_with_one)(void *, size_t); /* a size, or an alignment */
typedef void (*delete_with_both)(void *, size_t, size_t);
typedef void (*delete_nothrow)(void *, const void *);
typedef void (*delete_aligned_nothrow)(void *, size_t, const void *);

static const char *const operators[] = {
    "_Znwm",
    "_Znam",
    "_ZnwmRKSt9nothrow_t",
    "_ZnamRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnamSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    "_ZdlPv",
    "_ZdaPv",
    "_ZdlPvm",
    "_ZdaPvm",
    "_ZdlPvSt11align_val_t",
    "_ZdaPvSt11align_val_t",
    "_ZdlPvmSt11align_val_t",
    "_ZdaPvmSt11align_val_t",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
};

static const char nothrow; /* std::nothrow: an empty object, only its type counts */

static const size_t sizes[] = {0, 1, 8, 24, 100, 256, 1000, 4096, 5000, 40000, 300000, 3 * MIB};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* As require_numa_alloc; another allocator may leave the operators to the C++ runtime. */
static int set_up(void **state) {
    if (any_allocator() && entry_point("_Znwm") == NULL)
        dlopen("libstdc++.so.6", RTLD_NOW | RTLD_GLOBAL);
    return require_numa_alloc(state);
}

static void every_operator_comes_from_the_library(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        assert_non_null(entry_point(operators[i]));
        if (!any_allocator() && !lies_in(entry_point(operators[i]), "numa_alloc.so"))
            fail_msg("%s is not defined by numa_alloc.so", operators[i]);
    }
}

static void assert_good(void *block, size_t size_bytes, size_t alignment_bytes) {
    assert_non_null(block);
    assert_true(is_aligned(block, alignment_bytes));
    assert_true(malloc_usable_size(block) >= size_bytes);
    pattern_write(block, size_bytes, size_bytes);
    assert_true(pattern_holds(block, size_bytes, size_bytes));
}

static void check_plain(const char *new_name, const char *delete_name, const char *sized_name) {
    new_plain new_ = (new_plain)entry_point(new_name);
    delete_plain delete_ = (delete_plain)entry_point(delete_name);
    delete_with_one sized = (delete_with_one)entry_point(sized_name);
    for (size_t i = 0; i < SIZES; i++) {
        void *first = new_(sizes[i]), *second = new_(sizes[i]);
        assert_good(first, sizes[i], 16);
        assert_good(second, sizes[i], 16);
        assert_ptr_not_equal(first, second);
        delete_(first);
        sized(second, sizes[i]);
    }
}

static void new_and_delete_of_an_object(void **state) {
    (void)state;
    check_plain("_Znwm", "_ZdlPv", "_ZdlPvm");
}

static void new_and_delete_of_an_array(void **state) {
    (void)state;
    check_plain("_Znam", "_ZdaPv", "_ZdaPvm");
}

static void check_nothrow(const char *new_name, const char *delete_name) {
    new_nothrow new_ = (new_nothrow)entry_point(new_name);
    delete_nothrow delete_ = (delete_nothrow)entry_point(delete_name);
    for (size_t i = 0; i < SIZES; i++) {
        void *block = new_(sizes[i], &nothrow);
        assert_good(block, sizes[i], 16);
        delete_(block, &nothrow);
    }
    assert_null(new_(opaque((size_t)PTRDIFF_MAX + 1), &nothrow));
    assert_null(new_(opaque(SIZE_MAX), &nothrow));
}

static void nothrow_new_returns_null_for_what_cannot_be_had(void **state) {
    (void)state;
    check_nothrow("_ZnwmRKSt9nothrow_t", "_ZdlPvRKSt9nothrow_t");
    check_nothrow("_ZnamRKSt9nothrow_t", "_ZdaPvRKSt9nothrow_t");
}

static void check_aligned(const char *new_name, const char *delete_name, const char *sized_name) {
    new_aligned new_ = (new_aligned)entry_point(new_name);
    delete_with_one delete_ = (delete_with_one)entry_point(delete_name);
    delete_with_both sized = (delete_with_both)entry_point(sized_name);
    for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 4)
        for (size_t i = 0; i < SIZES; i++) {
            void *first = new_(sizes[i], alignment), *second = new_(sizes[i], alignment);
            assert_good(first, sizes[i], alignment);
            assert_good(second, sizes[i], alignment);
            delete_(first, alignment);
            sized(second, sizes[i], alignment);
        }
}

static void aligned_new_and_delete_of_an_object(void **state) {
    (void)state;
    check_aligned("_ZnwmSt11align_val_t", "_ZdlPvSt11align_val_t", "_ZdlPvmSt11align_val_t");
}

static void aligned_new_and_delete_of_an_array(void **state) {
    (void)state;
    check_aligned("_ZnamSt11align_val_t", "_ZdaPvSt11align_val_t", "_ZdaPvmSt11align_val_t");
}

static void check_aligned_nothrow(const char *new_name, const char *delete_name) {
    new_aligned_nothrow new_ = (new_aligned_nothrow)entry_point(new_name);
    delete_aligned_nothrow delete_ = (delete_aligned_nothrow)entry_point(delete_name);
    for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 4)
        for (size_t i = 0; i < SIZES; i++) {
            void *block = new_(sizes[i], alignment, &nothrow);
            assert_good(block, sizes[i], alignment);
            delete_(block, alignment, &nothrow);
        }
    assert_null(new_(opaque((size_t)PTRDIFF_MAX + 1), 64, &nothrow));
    assert_null(new_(opaque(SIZE_MAX - 32), 64, &nothrow));
}

static void aligned_nothrow_new_returns_null_for_what_cannot_be_had(void **state) {
    (void)state;
    check_aligned_nothrow("_ZnwmSt11align_val_tRKSt9nothrow_t",
                          "_ZdlPvSt11align_val_tRKSt9nothrow_t");
    check_aligned_nothrow("_ZnamSt11align_val_tRKSt9nothrow_t",
                          "_ZdaPvSt11align_val_tRKSt9nothrow_t");
}

static void delete_of_null_does_nothing(void **state) {
    (void)state;
    errno = 21;
    ((delete_plain)entry_point("_ZdlPv"))(NULL);
    ((delete_plain)entry_point("_ZdaPv"))(NULL);
    ((delete_with_one)entry_point("_ZdlPvm"))(NULL, 0);
    ((delete_with_one)entry_point("_ZdaPvm"))(NULL, 0);
    ((delete_with_one)entry_point("_ZdlPvSt11align_val_t"))(NULL, 64);
    ((delete_with_both)entry_point("_ZdaPvmSt11align_val_t"))(NULL, 8, 64);
    ((delete_nothrow)entry_point("_ZdlPvRKSt9nothrow_t"))(NULL, &nothrow);
    assert_int_equal(errno, 21);
}

static void delete_gives_the_memory_back(void **state) {
    (void)state;
    new_plain new_ = (new_plain)entry_point("_Znwm");
    delete_with_one sized = (delete_with_one)entry_point("_ZdlPvm");
    size_t before = 0;
    for (size_t i = 0; i < 20000; i++) {
        if (i == 2000)
            before = resident_bytes();
        void *block = new_(20000);
        assert_non_null(block);
        memset(block, 1, 20000);
        sized(block, 20000);
    }
    assert_true(resident_bytes() < before + 16 * MIB);
}

/* C++ has no null from a plain new: it throws, or ends a program that has no C++ runtime. */
static int new_of_the_impossible(void *unused) {
    (void)unused;
    close(2);
    void *block = ((new_plain)entry_point("_Znwm"))(opaque((size_t)PTRDIFF_MAX + 1));
    return block == NULL ? 3 : 4;
}

static void plain_new_never_returns_null(void **state) {
    (void)state;
    assert_int_equal(in_child(new_of_the_impossible, NULL), -SIGABRT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_comes_from_the_library),
        cmocka_unit_test(new_and_delete_of_an_object),
        cmocka_unit_test(new_and_delete_of_an_array),
        cmocka_unit_test(nothrow_new_returns_null_for_what_cannot_be_had),
        cmocka_unit_test(aligned_new_and_delete_of_an_object),
        cmocka_unit_test(aligned_new_and_delete_of_an_array),
        cmocka_unit_test(aligned_nothrow_new_returns_null_for_what_cannot_be_had),
        cmocka_unit_test(delete_of_null_does_nothing),
        cmocka_unit_test(delete_gives_the_memory_back),
        cmocka_unit_test(plain_new_never_returns_null),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
