/* Every entry point of glibc's allocator is ours, and does what glibc's does. */
#include "promises.h"

/* A name glibc has and we lack would mix two heaps: one would free what the other gave. */
static void every_entry_point_comes_from_the_library(void **state) {
    (void)state;
    const char *const names[] = {
        "malloc",       "free",           "calloc",        "realloc",
        "reallocarray", "memalign",       "aligned_alloc", "valloc",
        "pvalloc",      "posix_memalign", "cfree",         "malloc_usable_size",
        "malloc_trim",  "mallinfo",       "mallinfo2",     "mallopt",
        "malloc_info",  "malloc_stats",   "free_sized",    "free_aligned_sized",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (any_allocator())
            continue;
        if (!lies_in(entry_point(names[i]), "numa_alloc.so"))
            fail_msg("%s is not defined by numa_alloc.so", names[i]);
    }
    assert_non_null(entry_point("malloc"));
}

static void free_of_null_does_nothing(void **state) {
    (void)state;
    free(NULL);
    void (*cfree_)(void *) = (void (*)(void *))entry_point("cfree");
    if (cfree_ != NULL)
        cfree_(NULL);
    void (*free_sized_)(void *, size_t) = (void (*)(void *, size_t))entry_point("free_sized");
    if (free_sized_ != NULL)
        free_sized_(NULL, 0);
    assert_int_equal(malloc_usable_size(NULL), 0);
}

static void malloc_usable_size_of_null_is_zero(void **state) {
    (void)state;
    assert_int_equal(malloc_usable_size(NULL), 0);
}

static void every_usable_byte_holds_its_value(void **state) {
    (void)state;
    enum { BESIDE = 8 };
    void *blocks[BESIDE];
    for (size_t size = 0; size < 3 * MIB; size += 1 + size / 8) {
        for (size_t i = 0; i < BESIDE; i++) {
            blocks[i] = malloc(size);
            assert_non_null(blocks[i]);
            assert_true(malloc_usable_size(blocks[i]) >= size);
            memset(blocks[i], (int)i + 1, malloc_usable_size(blocks[i]));
        }
        for (size_t i = 0; i < BESIDE; i++) {
            const unsigned char *bytes = blocks[i];
            size_t usable = malloc_usable_size(blocks[i]);
            assert_true(usable == 0 ||
                        (bytes[0] == i + 1 && memcmp(bytes, bytes + 1, usable - 1) == 0));
            free(blocks[i]);
        }
    }
}

/* Rounding to a size class, or to pages where blocks are large. */
static void usable_size_exceeds_the_request_by_little(void **state) {
    (void)state;
    for (size_t size = 256; size < 64 * MIB; size += size / 13) {
        void *block = malloc(size);
        assert_non_null(block);
        size_t slack = size <= 64 * KIB ? size / 4 : 4 * KIB + size / 256;
        assert_true(malloc_usable_size(block) <= size + slack);
        free(block);
    }
}

static void valloc_is_aligned_to_a_page(void **state) {
    (void)state;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 0; size < 5 * page; size += 111) {
        void *block = valloc(size);
        assert_non_null(block);
        assert_true(is_aligned(block, page));
        pattern_write(block, size, 2);
        assert_true(pattern_holds(block, size, 2));
        free(block);
    }
}

static void pvalloc_gives_whole_pages(void **state) {
    (void)state;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 1; size < 5 * page; size += 111) {
        void *block = pvalloc(size);
        assert_non_null(block);
        assert_true(is_aligned(block, page));
        size_t pages = (size + page - 1) / page;
        assert_true(malloc_usable_size(block) >= pages * page);
        pattern_write(block, pages * page, 4);
        assert_true(pattern_holds(block, pages * page, 4));
        free(block);
    }
}

static void cfree_frees(void **state) {
    (void)state;
    void (*cfree_)(void *) = (void (*)(void *))entry_point("cfree");
    if (cfree_ == NULL)
        cfree_ = any_allocator() ? free : cfree_;
    assert_non_null((void *)cfree_);
    size_t before = 0;
    for (size_t i = 0; i < 5000; i++) {
        if (i == 500)
            before = resident_bytes();
        void *block = malloc(50000);
        assert_non_null(block);
        memset(block, 1, 50000);
        cfree_(block);
    }
    assert_true(resident_bytes() < before + 16 * MIB);
}

static void free_plain(void *block, size_t size_bytes) {
    (void)size_bytes;
    free(block);
}
static void free_aligned_plain(void *block, size_t alignment_bytes, size_t size_bytes) {
    (void)alignment_bytes;
    (void)size_bytes;
    free(block);
}

static void free_sized_frees(void **state) {
    (void)state;
    void (*free_sized_)(void *, size_t) = (void (*)(void *, size_t))entry_point("free_sized");
    if (free_sized_ == NULL && any_allocator())
        free_sized_ = free_plain;
    assert_non_null((void *)free_sized_);
    size_t before = 0;
    for (size_t i = 0; i < 5000; i++) {
        if (i == 500)
            before = resident_bytes();
        size_t size = i % 3 == 0 ? 300000 : i % 3000;
        void *block = i % 2 == 0 ? malloc(size) : calloc(1, size);
        assert_non_null(block);
        memset(block, 1, size);
        errno = 12;
        free_sized_(block, size);
        assert_int_equal(errno, 12);
    }
    assert_true(resident_bytes() < before + 16 * MIB);
}

static void free_aligned_sized_frees(void **state) {
    (void)state;
    void (*free_aligned_sized_)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))entry_point("free_aligned_sized");
    if (free_aligned_sized_ == NULL && any_allocator())
        free_aligned_sized_ = free_aligned_plain;
    assert_non_null((void *)free_aligned_sized_);
    size_t before = 0;
    for (size_t i = 0; i < 5000; i++) {
        if (i == 500)
            before = resident_bytes();
        size_t alignment = (size_t)16 << i % 12, size = 2 * alignment;
        void *block = aligned_alloc(alignment, size);
        assert_non_null(block);
        memset(block, 1, size);
        free_aligned_sized_(block, alignment, size);
    }
    assert_true(resident_bytes() < before + 16 * MIB);
}

static void malloc_trim_keeps_blocks_and_returns_0_or_1(void **state) {
    (void)state;
    enum { COUNT = 2000 };
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(i * 10);
        assert_non_null(blocks[i]);
        pattern_write(blocks[i], i * 10, i);
    }
    for (size_t i = 0; i < COUNT; i += 2)
        free(blocks[i]);
    for (size_t pad = 0; pad < 3; pad++) {
        int trimmed = malloc_trim(pad * MIB);
        assert_true(trimmed == 0 || trimmed == 1);
    }
    for (size_t i = 1; i < COUNT; i += 2) {
        assert_true(pattern_holds(blocks[i], i * 10, i));
        free(blocks[i]);
    }
}

static void malloc_trim_gives_freed_memory_back(void **state) {
    (void)state;
    enum { COUNT = 10000 };
    static void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = malloc(10000);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, 10000);
    }
    size_t full = resident_bytes();
    for (size_t i = 0; i < COUNT; i++)
        free(blocks[i]);
    malloc_trim(0);
    assert_true(resident_bytes() < full - 70 * MIB);
}

static void mallinfo2_counts_what_is_allocated(void **state) {
    (void)state;
    struct mallinfo2 (*mallinfo2_)(void) = (struct mallinfo2(*)(void))entry_point("mallinfo2");
    assert_non_null((void *)mallinfo2_);
    void *blocks[64];
    struct mallinfo2 before = mallinfo2_();
    for (size_t i = 0; i < 64; i++) {
        blocks[i] = malloc(MIB);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, MIB);
    }
    struct mallinfo2 after = mallinfo2_();
    assert_true(after.arena + after.hblkhd >= before.arena + before.hblkhd + 32 * MIB);
    for (size_t i = 0; i < 64; i++)
        free(blocks[i]);
}

static void mallinfo_answers(void **state) {
    (void)state;
    struct answer { /* struct mallinfo, which the headers mark as deprecated */
        int fields[10];
    } (*mallinfo_)(void) = (struct answer(*)(void))entry_point("mallinfo");
    assert_non_null((void *)mallinfo_);
    void *block = malloc(MIB);
    struct answer answer = mallinfo_();
    for (size_t i = 0; i < 10; i++)
        assert_true(answer.fields[i] >= 0);
    free(block);
}

static void mallopt_accepts_glibcs_parameters(void **state) {
    (void)state;
    const int parameters[] = {M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD, M_ARENA_MAX};
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        assert_int_equal(mallopt(parameters[i], 1 << 20), 1);
    void *block = malloc(3 * MIB);
    assert_non_null(block);
    free(block);
}

static void malloc_info_writes_xml(void **state) {
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    assert_int_equal(malloc_info(0, stream), 0);
    fclose(stream);
    assert_true(length > 0);
    assert_true(strncmp(text, "<malloc", 7) == 0);
    assert_non_null(strstr(text, "</malloc>"));
    free(text);
}

/* The manual: -1 and errno; glibc's code: EINVAL itself. */
static void malloc_info_refuses_unknown_options(void **state) {
    (void)state;
    char text[16] = "";
    FILE *stream = fmemopen(text, sizeof text, "w");
    assert_non_null(stream);
    errno = 0;
    int refused = malloc_info(1, stream);
    assert_true(refused == EINVAL || (refused == -1 && errno == EINVAL));
    assert_int_equal(ftell(stream), 0);
    fclose(stream);
}

static int call_malloc_stats(void *descriptors) {
    const int *ends = descriptors;
    dup2(ends[0], 1);
    dup2(ends[1], 2);
    malloc_stats();
    return 0;
}

static void malloc_stats_writes_to_stderr_only(void **state) {
    (void)state;
    FILE *out = tmpfile(), *err = tmpfile();
    assert_non_null(out);
    assert_non_null(err);
    int descriptors[2] = {fileno(out), fileno(err)};
    assert_int_equal(in_child(call_malloc_stats, descriptors), 0);
    assert_int_equal(lseek(descriptors[0], 0, SEEK_END), 0);
    assert_true(lseek(descriptors[1], 0, SEEK_END) > 0);
    fclose(out);
    fclose(err);
}

/* libc allocates on its caller's behalf; it must do so here, for the caller to free. */
static void what_libc_allocates_is_freed_here(void **state) {
    (void)state;
    char *copy = strdup("a string"), *printed = NULL, *line = NULL, *resolved = realpath("/", NULL);
    assert_true(asprintf(&printed, "%d", 12345) == 5);
    assert_string_equal(copy, "a string");
    assert_string_equal(printed, "12345");
    assert_string_equal(resolved, "/");
    FILE *version = fopen("/proc/version", "r");
    size_t length = 0;
    assert_non_null(version);
    assert_true(getline(&line, &length, version) > 0);
    fclose(version);
    assert_true(malloc_usable_size(copy) >= 9);
    assert_true(malloc_usable_size(line) >= length);
    free(copy);
    free(printed);
    free(line);
    free(resolved);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_point_comes_from_the_library),
        cmocka_unit_test(free_of_null_does_nothing),
        cmocka_unit_test(malloc_usable_size_of_null_is_zero),
        cmocka_unit_test(every_usable_byte_holds_its_value),
        cmocka_unit_test(usable_size_exceeds_the_request_by_little),
        cmocka_unit_test(valloc_is_aligned_to_a_page),
        cmocka_unit_test(pvalloc_gives_whole_pages),
        cmocka_unit_test(cfree_frees),
        cmocka_unit_test(free_sized_frees),
        cmocka_unit_test(free_aligned_sized_frees),
        cmocka_unit_test(malloc_trim_keeps_blocks_and_returns_0_or_1),
        cmocka_unit_test(malloc_trim_gives_freed_memory_back),
        cmocka_unit_test(mallinfo2_counts_what_is_allocated),
        cmocka_unit_test(mallinfo_answers),
        cmocka_unit_test(mallopt_accepts_glibcs_parameters),
        cmocka_unit_test(malloc_info_writes_xml),
        cmocka_unit_test(malloc_info_refuses_unknown_options),
        cmocka_unit_test(malloc_stats_writes_to_stderr_only),
        cmocka_unit_test(what_libc_allocates_is_freed_here),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
