/* How much memory may yet be taken, read from made-up folders as the kernel's. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "alloc/memory_left.c"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define MACHINE_16G "MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:   12582912 kB\n"

struct folders {
    char root[64], proc[80], groups[80];
};

/* Writes a file below the root, folders on the way included. */
static void write_file(const struct folders *folders, const char *file, const char *text) {
    char path[256], command[300];
    snprintf(path, sizeof path, "%s/%s", folders->root, file);
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", path);
    assert_int_equal(system(command), 0);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static int make_folders(void **state) {
    static struct folders folders;
    strcpy(folders.root, "/tmp/test_alloc_memory_left.XXXXXX");
    assert_non_null(mkdtemp(folders.root));
    snprintf(folders.proc, sizeof folders.proc, "%s/proc", folders.root);
    snprintf(folders.groups, sizeof folders.groups, "%s/cgroup", folders.root);
    *state = &folders;
    return 0;
}

static int remove_folders(void **state) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", ((struct folders *)*state)->root);
    return system(command);
}

static uint64_t left(void **state) {
    const struct folders *folders = *state;
    return memory_left_bytes(folders->proc, folders->groups);
}

static void without_any_file_there_is_no_limit(void **state) {
    assert_int_equal(left(state), UINT64_MAX);
}

/* 16 GiB, of which 4 are used and 2 are kept. */
static void an_eighth_of_the_machine_is_kept(void **state) {
    write_file(*state, "proc/meminfo", MACHINE_16G);
    assert_int_equal(left(state), 10 * GIB);
    write_file(*state, "proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 1048576 kB\n");
    assert_int_equal(left(state), 0);
}

static void the_tightest_group_on_the_way_up_counts(void **state) {
    write_file(*state, "proc/meminfo", MACHINE_16G);
    write_file(*state, "proc/self/cgroup", "5:cpu:/x\n0::/a/b\n");
    write_file(*state, "cgroup/a/b/memory.max", "max\n");
    write_file(*state, "cgroup/a/b/memory.current", "1073741824\n");
    assert_int_equal(left(state), 10 * GIB);
    write_file(*state, "cgroup/a/memory.max", "8589934592\n");
    write_file(*state, "cgroup/a/memory.current", "1073741824\n");
    assert_int_equal(left(state), 6 * GIB);
    write_file(*state, "cgroup/a/b/memory.max", "1073741824\n");
    assert_int_equal(left(state), 0);
    write_file(*state, "cgroup/a/b/memory.max", "2147483648\n");
    assert_int_equal(left(state), 768 * MIB);
}

/* In a container the group is the root of what it sees. */
static void the_root_group_counts_where_it_has_a_limit(void **state) {
    write_file(*state, "proc/meminfo", MACHINE_16G);
    write_file(*state, "proc/self/cgroup", "0::/\n");
    assert_int_equal(left(state), 10 * GIB);
    write_file(*state, "cgroup/memory.max", "1073741824\n");
    write_file(*state, "cgroup/memory.current", "536870912\n");
    assert_int_equal(left(state), 384 * MIB);
}

static void unused_file_pages_count_as_free(void **state) {
    write_file(*state, "proc/meminfo", MACHINE_16G);
    write_file(*state, "proc/self/cgroup", "0::/\n");
    write_file(*state, "cgroup/memory.max", "1073741824\n");
    write_file(*state, "cgroup/memory.current", "1073741824\n");
    write_file(*state, "cgroup/memory.stat", "anon 1\nactive_file 7\ninactive_file 805306368\n");
    assert_int_equal(left(state), 640 * MIB);
}

static void a_file_that_makes_no_sense_limits_nothing(void **state) {
    write_file(*state, "proc/meminfo", MACHINE_16G);
    write_file(*state, "proc/self/cgroup", "name=systemd:/x\nnonsense");
    assert_int_equal(left(state), 10 * GIB);
    write_file(*state, "proc/self/cgroup", "0::/a");
    write_file(*state, "cgroup/a/memory.max", "");
    assert_int_equal(left(state), 10 * GIB);
}

int main(void) {
#define in_folders(test) cmocka_unit_test_setup_teardown(test, make_folders, remove_folders)
    const struct CMUnitTest tests[] = {
        in_folders(without_any_file_there_is_no_limit),
        in_folders(an_eighth_of_the_machine_is_kept),
        in_folders(the_tightest_group_on_the_way_up_counts),
        in_folders(the_root_group_counts_where_it_has_a_limit),
        in_folders(unused_file_pages_count_as_free),
        in_folders(a_file_that_makes_no_sense_limits_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
