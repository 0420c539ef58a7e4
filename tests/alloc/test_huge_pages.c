/*
 * NUMA_ALLOC_PAGES: blocks lie in the pages asked for, or one line says why not and the program
 * goes on. Reserved pages (2M) are tested where the machine has some; `make check-vm` makes some.
 */
#include "promises.h"

#include <sys/mman.h>

enum { HUGE_PAGE_KIB = 2048, LITTLE = 5 * MIB, LARGE = 70 * MIB };

/* A number in the field of the mapping an address lies in, or whether a flag is among its VmFlags;
 * -1 when it is not told. */
static long of_mapping(const void *address, const char *field, const char *flag) {
    char line[1024];
    bool here = false;
    long answer = -1;
    FILE *smaps = fopen("/proc/self/smaps", "re");
    assert_non_null(smaps);
    while (answer < 0 && fgets(line, sizeof line, smaps) != NULL) {
        char *end;
        unsigned long start = strtoul(line, &end, 16);
        if (*end == '-')
            here = (uintptr_t)address >= start && (uintptr_t)address < strtoul(end + 1, NULL, 16);
        else if (here && strncmp(line, field, strlen(field)) == 0)
            answer =
                flag != NULL ? strstr(line, flag) != NULL : strtol(line + strlen(field), NULL, 10);
    }
    fclose(smaps);
    return answer;
}

/* Pages of 2 MiB that the kernel has free in reserve; 0 as well when it does not say. */
static long free_huge_pages(void) {
    long pages = 0;
    FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages;
}

static const size_t sizes[] = {1, 5000, 60 * KIB, 300 * KIB, LITTLE, LARGE};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* What any block promises, whatever its pages. Prints a line for each promise that is broken. */
static void use_blocks(void) {
    for (size_t i = 0; i < SIZES; i++) {
        unsigned char *zeroed = calloc(1, sizes[i]), *block = malloc(sizes[i]);
        pattern_write(block, sizes[i], i);
        for (size_t offset = 0; offset < sizes[i]; offset = pattern_next(offset))
            if (zeroed[offset] != 0) {
                printf("calloc(%zu) is not zeroed\n", sizes[i]);
                break;
            }
        unsigned char *grown = realloc(block, sizes[i] * 2 + 3 * MIB);
        if (!pattern_prefix_holds(grown, sizes[i], i))
            printf("realloc from %zu lost bytes\n", sizes[i]);
        unsigned char *shrunk = realloc(grown, sizes[i] / 2 + 1);
        if (!pattern_prefix_holds(shrunk, sizes[i] / 2 + 1, i))
            printf("realloc to %zu lost bytes\n", sizes[i] / 2 + 1);
        memset(zeroed, 255, sizes[i]);
        free(shrunk);
        free(zeroed);
        if (i % 2 == 1)
            malloc_trim(0);
    }
}

/* --- roles -------------------------------------------------------------------------------------
 */

static int work(void) {
    for (int round = 0; round < 3; round++)
        use_blocks();
    puts("done");
    return 0;
}

/* Prints the flag or the kernel's page size of each mapping that holds a block. */
static int show(const char *field, const char *flag) {
    for (size_t i = 0; i < SIZES; i++)
        printf("%ld ", of_mapping(malloc(sizes[i]), field, flag));
    return 0;
}

/* Reserved pages come and go with a block that has a mapping of its own. */
static int give_back(void) {
    char *block = malloc(LARGE);
    long before = free_huge_pages();
    free(block);
    printf("%ld", free_huge_pages() - before);
    return 0;
}

/* --- promises ----------------------------------------------------------------------------------
 */

struct setting {
    const char *pages, *on_error;
    size_t address_space_bytes; /* 0: no limit */
};

static void set_environment(const void *settings) {
    const struct setting *setting = settings;
    setenv("NUMA_ALLOC_PAGES", setting->pages, 1);
    if (setting->on_error != NULL)
        setenv("NUMA_ALLOC_ON_ERROR", setting->on_error, 1);
    if (setting->address_space_bytes != 0)
        setrlimit(RLIMIT_AS, &(struct rlimit){setting->address_space_bytes, RLIM_INFINITY});
}

static size_t lines_of(const char *text) {
    size_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void run_role(struct run *run, const char *role, const struct setting *setting) {
    run_self(run, role, NULL, set_environment, setting);
    if (run->status != 0)
        fail_msg("%s with pages %s: status %d, stdout \"%s\", stderr \"%s\"", role, setting->pages,
                 run->status, run->out, run->err);
}

static void blocks_are_good_in_pages_of_any_kind(void **state) {
    (void)state;
    static const char *const kinds[] = {"default", "thp", "2M", "1G"};
    for (size_t i = 0; i < 4; i++) {
        struct run run;
        run_role(&run, "work", &(struct setting){.pages = kinds[i]});
        assert_string_equal(run.out, "done\n");
        assert_true(lines_of(run.err) <= (i >= 2));
    }
}

static void every_block_may_have_transparent_huge_pages(void **state) {
    (void)state;
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0) {
        print_message("# the kernel has no transparent huge pages\n");
        skip();
    }
    struct run run;
    run_role(&run, "flag", &(struct setting){.pages = "thp"});
    assert_string_equal(run.out, "1 1 1 1 1 1 ");
    assert_string_equal(run.err, "");
    run_role(&run, "flag", &(struct setting){.pages = "default"});
    assert_string_equal(run.out, "0 0 0 0 0 0 ");
}

static void more_pages_than_there_are_cost_one_line(void **state) {
    (void)state;
    if (free_huge_pages() != 0) {
        print_message("# the machine has reserved huge pages\n");
        skip();
    }
    struct run run;
    run_role(&run, "work", &(struct setting){.pages = "2M"});
    assert_int_equal(lines_of(run.err), 1);
    assert_int_equal(strncmp(run.err, "numa_alloc: no free pages of 2 MiB", 34), 0);
    run_role(&run, "work", &(struct setting){.pages = "2M", .on_error = "silent"});
    assert_string_equal(run.err, "");
    run_self(&run, "work", NULL, set_environment,
             &(struct setting){.pages = "2M", .on_error = "abort"});
    assert_int_equal(run.status, -SIGABRT);
    assert_string_equal(run.out, "");
    assert_int_equal(lines_of(run.err), 1);
}

static void under_a_limit_on_address_space_one_line_says_that_none_are_used(void **state) {
    (void)state;
    struct run run;
    run_role(&run, "work",
             &(struct setting){.pages = "2M", .address_space_bytes = (size_t)8 << 30});
    assert_int_equal(lines_of(run.err), 1);
    assert_non_null(strstr(run.err, "limit on address space"));
    run_role(&run, "work",
             &(struct setting){.pages = "thp", .address_space_bytes = (size_t)8 << 30});
    assert_string_equal(run.err, "");
}

static void blocks_are_in_reserved_pages_and_give_them_back(void **state) {
    (void)state;
    if (free_huge_pages() < 128) {
        print_message("# fewer than 128 free huge pages of 2 MiB\n");
        skip();
    }
    struct run run;
    long before = free_huge_pages();
    run_role(&run, "page_size", &(struct setting){.pages = "2M"});
    assert_string_equal(run.out, "2048 2048 2048 2048 2048 2048 ");
    assert_string_equal(run.err, "");
    run_role(&run, "give_back", &(struct setting){.pages = "2M"});
    assert_int_equal(atol(run.out), LARGE / KIB / HUGE_PAGE_KIB);
    assert_int_equal(free_huge_pages(), before);
}

int main(int argc, char **argv) {
    const char *role = argc > 1 ? argv[1] : "";
    if (strcmp(role, "work") == 0)
        return work();
    if (strcmp(role, "flag") == 0)
        return show("VmFlags:", " hg");
    if (strcmp(role, "page_size") == 0)
        return show("KernelPageSize:", NULL);
    if (strcmp(role, "give_back") == 0)
        return give_back();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_good_in_pages_of_any_kind),
        cmocka_unit_test(every_block_may_have_transparent_huge_pages),
        cmocka_unit_test(more_pages_than_there_are_cost_one_line),
        cmocka_unit_test(under_a_limit_on_address_space_one_line_says_that_none_are_used),
        cmocka_unit_test(blocks_are_in_reserved_pages_and_give_them_back),
    };
    return cmocka_run_group_tests(tests, require_numa_alloc, NULL);
}
