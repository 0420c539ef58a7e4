/* Memory in pages of a chosen size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/lib/page_kind.h"

static void names_read_back(void **state) {
    enum page_kind kind;
    (void)state;
    for (size_t i = 0; i < PAGE_KINDS; i++) {
        const char *name = page_kind_name((enum page_kind)i);
        assert_true(page_kind_parse(name, strlen(name), &kind));
        assert_int_equal(kind, i);
    }
    assert_false(page_kind_parse("4K", 2, &kind));
    assert_false(page_kind_parse("", 0, &kind));
    assert_false(page_kind_parse("2M,", 3, &kind));
}

static void memory_is_aligned_to_its_pages_and_untouched(void **state) {
    const char *why = NULL;
    (void)state;
    for (enum page_kind kind = PAGE_BASE; kind <= PAGE_THP; kind++) {
        size_t page_bytes = page_kind_bytes(kind), base_bytes = (size_t)sysconf(_SC_PAGESIZE);
        unsigned char resident[4];
        char *memory = page_kind_map(kind, 3 * page_bytes + 1, -1, &why);
        if (memory == NULL) { /* only a kernel without transparent huge pages */
            assert_int_equal(kind, PAGE_THP);
            print_message("# no transparent huge pages: %s\n", why);
            continue;
        }
        assert_int_equal((uintptr_t)memory % page_bytes, 0);
        assert_int_equal(mincore(memory, 4 * base_bytes, resident), 0);
        assert_int_equal((resident[0] | resident[1] | resident[2] | resident[3]) & 1, 0);
        memset(memory, 1, 4 * page_bytes);
        page_kind_unmap(kind, memory, 3 * page_bytes + 1);
        assert_int_equal(mincore(memory, base_bytes, resident), -1);
    }
}

static void what_cannot_be_had_is_null_with_the_reason(void **state) {
    const char *why = NULL;
    (void)state;
    assert_null(page_kind_map(PAGE_1G, (size_t)1 << 46, -1, &why));
    assert_non_null(why);
    why = NULL;
    assert_null(page_kind_map(PAGE_BASE, 4096, 1023, &why));
    assert_non_null(why);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_read_back),
        cmocka_unit_test(memory_is_aligned_to_its_pages_and_untouched),
        cmocka_unit_test(what_cannot_be_had_is_null_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
