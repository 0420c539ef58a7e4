/* The memory controllers' counters, found in a made-up /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/lib/controller.h"

static char root[64];

static int make_root(void **state) {
    (void)state;
    strcpy(root, "/tmp/numa_alloc_counters_XXXXXX");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* Writes root/name, with the folders in it. */
static void put(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *at = strchr(path + strlen(root) + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(path, 0755);
        *at = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void put_in(const char *device, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", device, name);
    put(path, text);
}

/* A controller as Linux shows those of a Xeon. */
static void put_imc(const char *device, const char *type, const char *cpumask) {
    put_in(device, "type", type);
    put_in(device, "cpumask", cpumask);
    put_in(device, "format/event", "config:0-7\n");
    put_in(device, "format/umask", "config:8-15\n");
    put_in(device, "events/cas_count_read", "event=0x04,umask=0x03\n");
    put_in(device, "events/cas_count_read.scale", "6.103515625e-5\n");
    put_in(device, "events/cas_count_read.unit", "MiB\n");
    put_in(device, "events/cas_count_write", "event=0x04,umask=0x0c\n");
    put_in(device, "events/cas_count_write.scale", "6.103515625e-5\n");
    put_in(device, "events/cas_count_write.unit", "MiB\n");
    put_in(device, "events/clockticks", "event=0xff\n");
}

static void assert_has(const struct controller_event *events, size_t count, uint32_t type,
                       uint64_t config, unsigned cpu) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += events[i].type == type && events[i].config[0] == config && events[i].cpu == cpu;
    assert_int_equal(found, 1);
}

static void reads_and_writes_of_every_controller_and_package_are_found(void **state) {
    struct controller_event events[16];
    (void)state;
    put_imc("uncore_imc_0", "14\n", "0,28\n");
    put_imc("uncore_imc_1", "15\n", "0,28\n");
    put_imc("uncore_imc_free_running_0", "16\n", "0\n"); /* the same traffic again */
    put_imc("uncore_cha_0", "17\n", "0\n");
    assert_int_equal(controller_find(root, events, 16), 8);
    for (uint32_t type = 14; type <= 15; type++)
        for (unsigned cpu = 0; cpu <= 28; cpu += 28) {
            assert_has(events, 8, type, 0x0304, cpu);
            assert_has(events, 8, type, 0x0c04, cpu);
        }
    for (size_t i = 0; i < 8; i++)
        assert_true(events[i].bytes > 63.999 && events[i].bytes < 64.001);
}

static void more_than_there_is_room_for_are_counted_but_not_stored(void **state) {
    struct controller_event events[4] = {{.type = 0}};
    (void)state;
    put_imc("uncore_imc_0", "14\n", "0,28\n");
    assert_int_equal(controller_find(root, events, 3), 4);
    assert_int_equal(events[2].type, 14);
    assert_int_equal(events[3].type, 0);
    assert_int_equal(controller_find(root, NULL, 0), 4);
}

static void free_running_counters_do_where_there_are_no_others(void **state) {
    struct controller_event events[4];
    (void)state;
    put("uncore_imc_free_running_0/type", "20");
    put("uncore_imc_free_running_0/cpumask", "0");
    put("uncore_imc_free_running_0/format/event", "config:0-7");
    put("uncore_imc_free_running_0/format/umask", "config:8-15");
    put("uncore_imc_free_running_0/events/data_read", "event=0xff,umask=0x20");
    put("uncore_imc_free_running_0/events/data_read.scale", "6.103515625e-5");
    put("uncore_imc_free_running_0/events/data_read.unit", "MiB");
    assert_int_equal(controller_find(root, events, 4), 1);
    assert_has(events, 1, 20, 0x20ff, 0);
}

static void amd_counters_need_no_named_events(void **state) {
    struct controller_event events[4];
    (void)state;
    put("amd_umc_0/type", "30\n");
    put("amd_umc_0/cpumask", "0\n");
    put("amd_umc_0/format/event", "config:0-7\n");
    put("amd_umc_0/format/rdwrmask", "config:8-9\n");
    assert_int_equal(controller_find(root, events, 4), 2);
    assert_has(events, 2, 30, 0x10a, 0);
    assert_has(events, 2, 30, 0x20a, 0);
    assert_true(events[0].bytes > 63 && events[0].bytes < 65);
}

static void bits_go_where_the_format_says(void **state) {
    struct controller_event events[4];
    (void)state;
    put("uncore_imc/type", "9");
    put("uncore_imc/cpumask", "2");
    put("uncore_imc/format/event", "config:0-3,32-35");
    put("uncore_imc/format/edge", "config1:5");
    put("uncore_imc/events/data_reads", "event=0xa7,edge");
    put("uncore_imc/events/data_reads.scale", "64");
    put("uncore_imc/events/data_reads.unit", "Bytes");
    assert_int_equal(controller_find(root, events, 4), 1);
    assert_int_equal(events[0].config[0], 0xa00000007);
    assert_int_equal(events[0].config[1], 0x20);
    assert_int_equal(events[0].cpu, 2);
}

/* A counter that cannot be understood, or whose unit is not known, is not taken for another. */
static void what_cannot_be_read_is_left_out(void **state) {
    static const char *const bad[][2] = {
        {"type", "x"},
        {"cpumask", ""},
        {"events/cas_count_read", "event=0x104,umask=0x03"}, /* too wide for its bits */
        {"events/cas_count_read", "event=,umask=0x03"},
        {"events/cas_count_read", "event=0x04,strange=1"},
        {"events/cas_count_read.scale", "many"},
        {"events/cas_count_read.unit", "Joules"},
        {"format/event", "config3:0-7"},
        {"format/event", "config:7-0"},
        {"format/event", "config:60-70"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_imc("uncore_imc_0", "14", "0");
        put_in("uncore_imc_0", bad[i][0], bad[i][1]);
        size_t left = strncmp(bad[i][0], "events", 6) == 0 ? 1 : 0; /* the writes */
        assert_int_equal(controller_find(root, NULL, 0), left);
    }
}

static void a_machine_without_counters_says_so(void **state) {
    struct controller controller;
    double bytes;
    (void)state;
    assert_int_equal(controller_find("/nowhere/at/all", NULL, 0), 0);
    assert_false(controller_open(&controller, root));
    assert_non_null(controller.why);
    assert_false(controller_read(&controller, &bytes));
    controller_close(&controller);
}

static void a_counter_that_the_kernel_does_not_know_is_refused(void **state) {
    struct controller controller;
    (void)state;
    put_imc("uncore_imc_0", "4000000000", "0");
    assert_false(controller_open(&controller, root));
    assert_non_null(controller.why);
    assert_int_equal(controller.count, 0);
}

/* The kernel's own clock in place of a controller: a count a nanosecond, here called 2 bytes. */
static void counts_are_read_in_bytes(void **state) {
    struct controller controller;
    double before, after;
    (void)state;
    put("uncore_imc/type", "1"); /* PERF_TYPE_SOFTWARE */
    put("uncore_imc/cpumask", "0");
    put("uncore_imc/format/event", "config:0-7");
    put("uncore_imc/events/data_reads", "event=0x00"); /* PERF_COUNT_SW_CPU_CLOCK */
    put("uncore_imc/events/data_reads.scale", "2");
    put("uncore_imc/events/data_reads.unit", "Bytes");
    if (!controller_open(&controller, root)) {
        print_message("not tried, counters are refused here: %s\n", controller.why);
        skip();
    }
    assert_true(controller_read(&controller, &before));
    usleep(2000);
    assert_true(controller_read(&controller, &after));
    controller_close(&controller);
    assert_true(after - before >= 2 * 2e6);
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_ROOT(reads_and_writes_of_every_controller_and_package_are_found),
        WITH_ROOT(more_than_there_is_room_for_are_counted_but_not_stored),
        WITH_ROOT(free_running_counters_do_where_there_are_no_others),
        WITH_ROOT(amd_counters_need_no_named_events),
        WITH_ROOT(bits_go_where_the_format_says),
        WITH_ROOT(what_cannot_be_read_is_left_out),
        WITH_ROOT(a_machine_without_counters_says_so),
        WITH_ROOT(a_counter_that_the_kernel_does_not_know_is_refused),
        WITH_ROOT(counts_are_read_in_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
