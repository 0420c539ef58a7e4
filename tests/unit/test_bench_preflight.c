/* Pre-flight checks of made-up machines: folders for /proc and /sys, and a kernel that answers as
 * told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/lib/preflight.h"

struct made_up {
    char root[64], proc[80], sys[80], dev[80];
    struct preflight_machine machine;
    struct preflight_check *checks;
    size_t count;
};

static int allow_all(enum preflight_call call, unsigned node) {
    (void)call;
    (void)node;
    return 0;
}

static int refuse_all(enum preflight_call call, unsigned node) {
    (void)call;
    (void)node;
    return EPERM;
}

static int know_none(enum preflight_call call, unsigned node) {
    (void)call;
    (void)node;
    return ENOSYS;
}

static int paranoid_perf(enum preflight_call call, unsigned node) {
    (void)node;
    return call == PREFLIGHT_PERF_SYSTEM_WIDE || call == PREFLIGHT_PERF_CORE ? EACCES : 0;
}

/* Writes a file below the root, with the folders above it. */
static void put(const struct made_up *made_up, const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", made_up->root, name);
    for (char *at = path + strlen(made_up->root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A machine of empty /proc, /sys and /dev, on which every call works. */
static void begin(struct made_up *made_up) {
    *made_up = (struct made_up){.root = "/tmp/numa_alloc_preflight_XXXXXX"};
    assert_non_null(mkdtemp(made_up->root));
    snprintf(made_up->proc, sizeof made_up->proc, "%s/proc", made_up->root);
    snprintf(made_up->sys, sizeof made_up->sys, "%s/sys", made_up->root);
    snprintf(made_up->dev, sizeof made_up->dev, "%s/dev", made_up->root);
    made_up->machine = (struct preflight_machine){.proc = made_up->proc,
                                                  .sys = made_up->sys,
                                                  .dev = made_up->dev,
                                                  .try = allow_all,
                                                  .processor = {.vendor = "GenuineIntel"}};
}

static void look(struct made_up *made_up) {
    assert_true(preflight_open(&made_up->machine));
    made_up->checks = preflight_run(&made_up->machine, &made_up->count);
    assert_non_null(made_up->checks);
}

static void look_again(struct made_up *made_up) {
    free(made_up->checks);
    preflight_close(&made_up->machine);
    look(made_up);
}

static void look_with_activity(struct made_up *made_up, const char *before, const char *after) {
    assert_true(preflight_open(&made_up->machine));
    assert_true(preflight_compare_stat(before, after, &made_up->machine.activity));
    made_up->checks = preflight_run(&made_up->machine, &made_up->count);
    assert_non_null(made_up->checks);
}

static void end(struct made_up *made_up) {
    char command[100];
    free(made_up->checks);
    preflight_close(&made_up->machine);
    snprintf(command, sizeof command, "rm -rf '%s'", made_up->root);
    assert_int_equal(system(command), 0);
}

static const struct preflight_check *find(const struct made_up *made_up, const char *name) {
    for (size_t i = 0; i < made_up->count; i++)
        if (strcmp(made_up->checks[i].name, name) == 0)
            return &made_up->checks[i];
    fail_msg("there is no check %s", name);
    return NULL;
}

/* Fails unless the check has this level, and its three texts together hold the words. */
static void expect(const struct made_up *made_up, const char *name, enum preflight_level level,
                   const char *words) {
    const struct preflight_check *check = find(made_up, name);
    char all[800];
    snprintf(all, sizeof all, "%s|%s|%s", check->value, check->meaning, check->act);
    if (check->level != level || strstr(all, words) == NULL)
        fail_msg("%s: %s '%s', not %s '%s'", name, preflight_level_name(check->level), all,
                 preflight_level_name(level), words);
}

static void a_filter_that_refuses_is_told_from_a_kernel_without_numa(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    made_up.machine.try = refuse_all;
    put(&made_up, "proc/self/status", "Seccomp:\t2\nSeccomp_filters:\t1\n");
    look(&made_up);
    expect(&made_up, "mbind", PREFLIGHT_NOTE, "seccomp");
    expect(&made_up, "mbind", PREFLIGHT_NOTE, "--cap-add SYS_NICE");
    expect(&made_up, "perf_core", PREFLIGHT_NOTE, "--cap-add PERFMON");
    end(&made_up);

    begin(&made_up);
    made_up.machine.try = know_none;
    put(&made_up, "proc/self/status", "Seccomp:\t0\n");
    look(&made_up);
    expect(&made_up, "mbind", PREFLIGHT_NOTE, "CONFIG_NUMA");
    expect(&made_up, "move_pages", PREFLIGHT_NOTE, "CONFIG_MIGRATION");
    end(&made_up);
}

static void placement_without_any_proof_is_said(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    made_up.machine.try = refuse_all;
    look(&made_up);
    expect(&made_up, "numa_maps", PREFLIGHT_NOTE, "unverified");
    end(&made_up);

    begin(&made_up);
    made_up.machine.try = refuse_all;
    put(&made_up, "proc/self/numa_maps", "7f0000000000 default anon=1 N0=1\n");
    look(&made_up);
    expect(&made_up, "numa_maps", PREFLIGHT_OK, "readable");
    end(&made_up);
}

static void perf_names_the_paranoid_level_that_would_do(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    made_up.machine.try = paranoid_perf;
    put(&made_up, "proc/sys/kernel/perf_event_paranoid", "4\n");
    put(&made_up, "sys/bus/event_source/devices/uncore_imc_1/type", "12\n");
    put(&made_up, "sys/bus/event_source/devices/uncore_imc_0/type", "11\n");
    put(&made_up, "sys/bus/event_source/devices/software/type", "1\n");
    look(&made_up);
    expect(&made_up, "perf_core", PREFLIGHT_NOTE, "perf_event_paranoid 4");
    expect(&made_up, "perf_core", PREFLIGHT_NOTE, "perf_event_paranoid=2");
    expect(&made_up, "perf_uncore", PREFLIGHT_NOTE, "2 units (uncore_imc_0");
    expect(&made_up, "perf_uncore", PREFLIGHT_NOTE, "perf_event_paranoid=0");
    end(&made_up);
}

static void registers_are_looked_for_on_an_allowed_cpu(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    made_up.machine.processor.family = 6;
    made_up.machine.processor.model = 0x55;
    put(&made_up, "proc/self/status", "Cpus_allowed_list:\t4-5\n");
    put(&made_up, "dev/cpu/0/msr", "");
    look(&made_up);
    expect(&made_up, "msr", PREFLIGHT_NOTE, "modprobe msr");
    end(&made_up);

    begin(&made_up);
    made_up.machine.processor.family = 6;
    made_up.machine.processor.model = 0x55;
    put(&made_up, "proc/self/status", "Cpus_allowed_list:\t4-5\n");
    put(&made_up, "dev/cpu/4/msr", "");
    look(&made_up);
    expect(&made_up, "msr", PREFLIGHT_OK, "writable");
    expect(&made_up, "prefetchers", PREFLIGHT_OK, "0x1A4");
    end(&made_up);

    begin(&made_up);
    made_up.machine.processor = (struct processor){0};
    look(&made_up);
    expect(&made_up, "msr", PREFLIGHT_OK, "architecture");
    expect(&made_up, "prefetchers", PREFLIGHT_NOTE, "architecture");
    end(&made_up);
}

static void nodes_with_gaps_and_without_cpus_or_memory_are_named(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "sys/devices/system/node/has_memory", "0,8,252\n");
    put(&made_up, "sys/devices/system/node/has_cpu", "0,4,8\n");
    put(&made_up, "proc/self/status", "Mems_allowed_list:\t0,252\n");
    put(&made_up, "sys/devices/system/node/node0/meminfo",
        "Node 0 MemTotal:       67108864 kB\nNode 0 MemFree:        33554432 kB\n");
    put(&made_up, "sys/devices/system/node/node252/meminfo",
        "Node 252 MemTotal:     67108864 kB\nNode 252 MemFree:        524288 kB\n");
    look(&made_up);
    expect(&made_up, "nodes", PREFLIGHT_NOTE, "with memory: 0,8,252; with CPUs: 0,4,8");
    expect(&made_up, "nodes", PREFLIGHT_NOTE, "Without CPUs (CXL, HBM): 252.");
    expect(&made_up, "nodes", PREFLIGHT_NOTE, "Without memory: 4.");
    expect(&made_up, "nodes", PREFLIGHT_NOTE, "not measured: 8.");
    expect(&made_up, "free_memory", PREFLIGHT_WARN, "node 0: 32.0G of 64.0G, node 252: 0.5G of");
    expect(&made_up, "free_memory", PREFLIGHT_WARN, "free on nodes 252:");
    end(&made_up);
}

static void a_small_node_that_is_empty_does_not_warn(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "sys/devices/system/node/node0/meminfo",
        "Node 0 MemTotal:       524288 kB\nNode 0 MemFree:        500000 kB\n");
    look(&made_up);
    expect(&made_up, "free_memory", PREFLIGHT_OK, "node 0: 0.5G of 0.5G");
    end(&made_up);
}

static void a_plain_machine_of_two_nodes_is_ok(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "sys/devices/system/node/has_memory", "0-1\n");
    put(&made_up, "sys/devices/system/node/has_cpu", "0-1\n");
    put(&made_up, "sys/devices/system/cpu/online", "0-7\n");
    put(&made_up, "proc/self/status", "Cpus_allowed_list:\t0-7\nMems_allowed_list:\t0-1\n");
    put(&made_up, "proc/sys/kernel/numa_balancing", "0\n");
    look(&made_up);
    expect(&made_up, "nodes", PREFLIGHT_OK, "0-1");
    expect(&made_up, "cpuset", PREFLIGHT_OK, "all CPUs (0-7), all nodes (0-1)");
    expect(&made_up, "numa_balancing", PREFLIGHT_OK, "off");
    expect(&made_up, "virtualised", PREFLIGHT_OK, "no sign");
    end(&made_up);
}

static void balancing_warns_only_where_there_is_another_node(void **state) {
    static const struct {
        const char *nodes;
        const char *mode;
        enum preflight_level level;
    } cases[] = {{"0\n", "1\n", PREFLIGHT_OK},
                 {"0,8\n", "1\n", PREFLIGHT_WARN},
                 {"0,8\n", "2\n", PREFLIGHT_WARN},
                 {"0,8\n", "0\n", PREFLIGHT_OK}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct made_up made_up;
        begin(&made_up);
        put(&made_up, "sys/devices/system/node/has_memory", cases[i].nodes);
        put(&made_up, "proc/sys/kernel/numa_balancing", cases[i].mode);
        look(&made_up);
        expect(&made_up, "numa_balancing", cases[i].level, "o");
        end(&made_up);
    }
}

static void memory_settings_that_disturb_say_what_to_write_where(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "proc/sys/vm/zone_reclaim_mode", "1\n");
    put(&made_up, "proc/sys/vm/overcommit_memory", "2\n");
    put(&made_up, "sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
    put(&made_up, "sys/kernel/mm/transparent_hugepage/defrag",
        "always defer defer+madvise [madvise] never\n");
    look(&made_up);
    expect(&made_up, "zone_reclaim", PREFLIGHT_WARN, "/proc/sys/vm/zone_reclaim_mode");
    expect(&made_up, "overcommit", PREFLIGHT_NOTE, "never");
    expect(&made_up, "thp", PREFLIGHT_NOTE, "always, defrag madvise");
    end(&made_up);
}

static void huge_pages_are_counted_on_allowed_nodes_only(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "proc/self/status", "Mems_allowed_list:\t0\n");
    put(&made_up, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages", "0\n");
    put(&made_up, "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
    put(&made_up, "sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "0\n");
    put(&made_up, "sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
    put(&made_up, "sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages",
        "512\n");
    look(&made_up);
    expect(&made_up, "huge_2m", PREFLIGHT_NOTE, "node 0: 0 of 512 free");
    expect(&made_up, "huge_2m", PREFLIGHT_NOTE, "hugepages-2048kB/nr_hugepages");
    expect(&made_up, "huge_1g", PREFLIGHT_NOTE, "no pages of this size");
    put(&made_up, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages", "64\n");
    look_again(&made_up);
    expect(&made_up, "huge_2m", PREFLIGHT_OK, "64 more on demand");
    end(&made_up);
}

static void a_governor_that_follows_the_load_warns_and_names_its_cpus(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "proc/self/status", "Cpus_allowed_list:\t0-2\n");
    put(&made_up, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    put(&made_up, "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n");
    put(&made_up, "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave\n");
    put(&made_up, "sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "schedutil\n");
    put(&made_up, "sys/devices/system/cpu/intel_pstate/no_turbo", "0\n");
    look(&made_up);
    expect(&made_up, "governor", PREFLIGHT_WARN, "performance on CPUs 0, powersave on CPUs 1-2|");
    expect(&made_up, "turbo", PREFLIGHT_NOTE, "no_turbo");
    end(&made_up);

    begin(&made_up);
    put(&made_up, "proc/self/status", "Cpus_allowed_list:\t0\n");
    put(&made_up, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    put(&made_up, "sys/devices/system/cpu/cpufreq/boost", "0\n");
    look(&made_up);
    expect(&made_up, "governor", PREFLIGHT_OK, "performance");
    expect(&made_up, "turbo", PREFLIGHT_OK, "off");
    end(&made_up);
}

static void only_idle_states_in_use_count(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "sys/devices/system/cpu/cpu0/cpuidle/state0/name", "POLL\n");
    put(&made_up, "sys/devices/system/cpu/cpu0/cpuidle/state0/latency", "0\n");
    put(&made_up, "sys/devices/system/cpu/cpu0/cpuidle/state1/name", "C1\n");
    put(&made_up, "sys/devices/system/cpu/cpu0/cpuidle/state1/latency", "2\n");
    put(&made_up, "sys/devices/system/cpu/cpu0/cpuidle/state2/name", "C6\n");
    put(&made_up, "sys/devices/system/cpu/cpu0/cpuidle/state2/latency", "133\n");
    put(&made_up, "sys/devices/system/cpu/cpu0/cpuidle/state2/disable", "0\n");
    look(&made_up);
    expect(&made_up, "idle_states", PREFLIGHT_NOTE, "C6, 133 us");
    put(&made_up, "sys/devices/system/cpu/cpu0/cpuidle/state2/disable", "1\n");
    look_again(&made_up);
    expect(&made_up, "idle_states", PREFLIGHT_OK, "C1, 2 us");
    end(&made_up);
}

static void a_slow_clock_source_warns_and_tells_whether_tsc_is_there(void **state) {
    static const char *const folder = "sys/devices/system/clocksource/clocksource0/";
    struct made_up made_up;
    char current[100], available[100];
    (void)state;
    snprintf(current, sizeof current, "%scurrent_clocksource", folder);
    snprintf(available, sizeof available, "%savailable_clocksource", folder);
    begin(&made_up);
    put(&made_up, current, "hpet\n");
    put(&made_up, available, "hpet acpi_pm\n");
    look(&made_up);
    expect(&made_up, "clock_source", PREFLIGHT_WARN, "dmesg");
    put(&made_up, available, "xen tsc hpet\n");
    look_again(&made_up);
    expect(&made_up, "clock_source", PREFLIGHT_WARN, "echo tsc");
    put(&made_up, current, "arch_sys_counter\n");
    look_again(&made_up);
    expect(&made_up, "clock_source", PREFLIGHT_OK, "arch_sys_counter");
    end(&made_up);
}

/* Of 100 ticks: CPU 0 idle, CPU 1 70 busy, CPU 2 idle with 3 stolen, CPU 3 all waiting for disks.
 * The first line is all CPUs' sum. */
static const char stat_before[] = "cpu  1 0 1 1 0 0 0 0 0 0\n"
                                  "cpu0 100 5 20 1000 7 0 1 0 0 0\n"
                                  "cpu1 100 5 20 1000 7 0 1 0 0 0\n"
                                  "cpu2 100 5 20 1000 7 0 1 0 0 0\n"
                                  "cpu3 100 5 20 1000 7 0 1 0 0 0\n"
                                  "ctxt 5\n";
static const char stat_after[] = "cpu  1 0 1 1 0 0 0 0 0 0\n"
                                 "cpu0 101 5 20 1099 7 0 1 0 0 0\n"
                                 "cpu1 160 10 24 1030 7 0 2 0 0 0\n"
                                 "cpu2 100 5 20 1097 7 0 1 3 0 0\n"
                                 "cpu3 100 5 20 1000 107 0 1 0 0 0\n"
                                 "ctxt 9\n";

static void activity_is_the_share_of_ticks_between_two_looks(void **state) {
    struct preflight_activity activity;
    (void)state;
    assert_true(preflight_compare_stat(stat_before, stat_after, &activity));
    assert_int_equal(activity.count, 4);
    assert_true(activity.cpus[0].busy > 0.009 && activity.cpus[0].busy < 0.011);
    assert_true(activity.cpus[1].busy > 0.699 && activity.cpus[1].busy < 0.701);
    assert_true(activity.cpus[2].busy < 0.001);
    assert_true(activity.cpus[2].stolen > 0.029 && activity.cpus[2].stolen < 0.031);
    assert_true(activity.cpus[3].busy < 0.001);
    free(activity.cpus);
    assert_true(preflight_compare_stat(stat_before, stat_before, &activity));
    assert_true(activity.cpus[1].busy < 0.001);
    free(activity.cpus);
    assert_false(preflight_compare_stat("", "intr 5\n", &activity));
    free(activity.cpus);
}

static void a_busy_cpu_is_named_with_the_idle_ones(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "proc/self/status", "Cpus_allowed_list:\t0-3\n");
    look_with_activity(&made_up, stat_before, stat_after);
    expect(&made_up, "busy_cpus", PREFLIGHT_WARN, "CPUs 1, up to 70 %");
    expect(&made_up, "busy_cpus", PREFLIGHT_WARN, "idle CPUs: 0,2-3");
    expect(&made_up, "steal", PREFLIGHT_WARN, "3.0 %");
    end(&made_up);

    begin(&made_up);
    put(&made_up, "proc/self/status", "Cpus_allowed_list:\t0,3\n");
    look_with_activity(&made_up, stat_before, stat_after);
    expect(&made_up, "busy_cpus", PREFLIGHT_OK, "at most 1 %");
    end(&made_up);
}

static void a_busy_sibling_outside_the_cpuset_is_seen(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "proc/self/status", "Cpus_allowed_list:\t0,2\n");
    put(&made_up, "sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0-1\n");
    put(&made_up, "sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2-3\n");
    look_with_activity(&made_up, stat_before, stat_after);
    expect(&made_up, "smt", PREFLIGHT_WARN, "2 threads a core; sibling busy: CPUs 0|");
    expect(&made_up, "busy_cpus", PREFLIGHT_OK, "none");
    end(&made_up);

    begin(&made_up);
    put(&made_up, "proc/self/status", "Cpus_allowed_list:\t2\n");
    put(&made_up, "sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2-3\n");
    look_with_activity(&made_up, stat_before, stat_after);
    expect(&made_up, "smt", PREFLIGHT_OK, "siblings idle");
    end(&made_up);
}

static void a_cpuset_is_named_with_its_control_group(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "proc/self/status", "Cpus_allowed_list:\t2-3\nMems_allowed_list:\t0\n");
    put(&made_up, "proc/self/cgroup", "0::/user.slice/job\n");
    put(&made_up, "sys/devices/system/cpu/online", "0-7\n");
    put(&made_up, "sys/devices/system/node/has_memory", "0-1\n");
    put(&made_up, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu memory\n");
    put(&made_up, "sys/fs/cgroup/user.slice/job/cpuset.cpus.effective", "2-3\n");
    look(&made_up);
    expect(&made_up, "cpuset", PREFLIGHT_NOTE, "CPUs 2-3 of 0-7, nodes 0 of 0-1");
    expect(&made_up, "cpuset", PREFLIGHT_NOTE, "control group's CPUs: 2-3");
    end(&made_up);
}

static void limits_of_groups_above_hold_in_version_2(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "proc/self/cgroup", "0::/pod/job\n");
    put(&made_up, "sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    put(&made_up, "sys/fs/cgroup/pod/memory.max", "8589934592\n");
    put(&made_up, "sys/fs/cgroup/pod/memory.current", "1073741824\n");
    put(&made_up, "sys/fs/cgroup/pod/job/memory.max", "max\n");
    put(&made_up, "sys/fs/cgroup/pod/cpu.max", "150000 100000\n");
    put(&made_up, "sys/fs/cgroup/pod/cpu.stat", "usage_usec 7\nnr_periods 9\nnr_throttled 4\n");
    put(&made_up, "sys/fs/cgroup/pod/job/cpu.max", "max 100000\n");
    look(&made_up);
    expect(&made_up, "memory_limit", PREFLIGHT_NOTE, "8.0G, 7.0G of it left");
    expect(&made_up, "cpu_quota", PREFLIGHT_WARN, "1.50 CPUs of time each 100 ms; stopped 4 times");
    end(&made_up);
}

static void limits_are_read_in_version_1_too(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "proc/self/cgroup",
        "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n0::/\n");
    put(&made_up, "sys/fs/cgroup/memory/memory.limit_in_bytes", "1610612736\n");
    put(&made_up, "sys/fs/cgroup/memory/memory.usage_in_bytes", "1073741824\n");
    put(&made_up, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n");
    put(&made_up, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    put(&made_up, "sys/fs/cgroup/cpu,cpuacct/cpu.stat", "nr_throttled 12\n");
    look(&made_up);
    expect(&made_up, "memory_limit", PREFLIGHT_WARN, "1.5G, 0.5G of it left");
    expect(&made_up, "cpu_quota", PREFLIGHT_WARN, "0.50 CPUs of time each 100 ms; stopped 12");
    end(&made_up);

    begin(&made_up);
    put(&made_up, "proc/self/cgroup", "4:memory:/\n3:cpu:/\n");
    put(&made_up, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put(&made_up, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put(&made_up, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    look(&made_up);
    expect(&made_up, "memory_limit", PREFLIGHT_OK, "none");
    expect(&made_up, "cpu_quota", PREFLIGHT_OK, "none");
    end(&made_up);
}

static void virtual_machines_are_known_by_processor_files_and_maker(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    made_up.machine.processor.virtualised = true;
    strcpy(made_up.machine.processor.hypervisor, "Microsoft Hv");
    look(&made_up);
    expect(&made_up, "virtualised", PREFLIGHT_NOTE, "Hyper-V");
    end(&made_up);

    begin(&made_up);
    put(&made_up, "sys/hypervisor/type", "xen\n");
    look(&made_up);
    expect(&made_up, "virtualised", PREFLIGHT_NOTE, "xen");
    end(&made_up);

    begin(&made_up); /* on x86 the processor says it; the maker also rents whole machines */
    put(&made_up, "sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    look(&made_up);
    expect(&made_up, "virtualised", PREFLIGHT_OK, "no sign");
    end(&made_up);

    begin(&made_up);
    made_up.machine.processor = (struct processor){0};
    put(&made_up, "sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    put(&made_up, "sys/class/dmi/id/product_name", "c7g.metal\n");
    look(&made_up);
    expect(&made_up, "virtualised", PREFLIGHT_OK, "no sign");
    put(&made_up, "sys/class/dmi/id/product_name", "c7g.large\n");
    look_again(&made_up);
    expect(&made_up, "virtualised", PREFLIGHT_NOTE, "Amazon EC2");
    end(&made_up);
}

static void isolated_cpus_are_a_hint(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    put(&made_up, "sys/devices/system/cpu/isolated", "2-3\n");
    put(&made_up, "sys/devices/system/cpu/nohz_full", "2-3\n");
    look(&made_up);
    expect(&made_up, "isolated_cpus", PREFLIGHT_NOTE, "--cpu with one of 2-3");
    end(&made_up);
}

/* Nothing at all to read: each check still says so, and none warns of what it cannot know. */
static void a_masked_machine_has_named_states_and_no_warnings(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    made_up.machine.try = refuse_all;
    look(&made_up);
    for (size_t i = 0; i < made_up.count; i++) {
        assert_true(made_up.checks[i].level != PREFLIGHT_WARN);
        assert_true(made_up.checks[i].value[0] != '\0');
    }
    end(&made_up);
}

static char *table_of(const struct preflight_check *checks, size_t count) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    preflight_print(out, checks, count);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void the_table_keeps_to_100_columns_whatever_is_in_it(void **state) {
    struct preflight_check checks[2] = {{.name = "a", .level = PREFLIGHT_WARN},
                                        {.name = "b", .level = PREFLIGHT_OK}};
    (void)state;
    memset(checks[0].value, 'v', sizeof checks[0].value - 1); /* one long word */
    for (size_t i = 0; i + 1 < sizeof checks[0].meaning; i++)
        checks[0].meaning[i] = checks[0].act[i] = i % 7 == 6 ? ' ' : 'x';
    char *text = table_of(checks, 2);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 100);
    free(text);
}

static void json_escapes_what_firmware_may_say(void **state) {
    struct made_up made_up;
    char *text = NULL;
    size_t size;
    (void)state;
    begin(&made_up);
    put(&made_up, "sys/hypervisor/type", "a\"b\\c\td\xff\n");
    look(&made_up);
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    preflight_print_json(out, &made_up.machine, NULL, made_up.checks, made_up.count);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "\"value\": \"a\\\"b\\\\c\\u0009d?\""));
    free(text);
    end(&made_up);
}

static void what_is_not_ok_has_a_meaning_and_what_is_ok_nothing_to_do(void **state) {
    struct made_up made_up;
    (void)state;
    begin(&made_up);
    made_up.machine.proc = "/proc";
    made_up.machine.sys = "/sys";
    made_up.machine.dev = "/dev";
    made_up.machine.try = preflight_ask_kernel;
    processor_identify(&made_up.machine.processor);
    look(&made_up);
    for (size_t i = 0; i < made_up.count; i++) {
        const struct preflight_check *check = &made_up.checks[i];
        if (check->level == PREFLIGHT_OK ? check->act[0] != '\0' : check->meaning[0] == '\0')
            fail_msg("%s", check->name);
    }
    end(&made_up);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_that_refuses_is_told_from_a_kernel_without_numa),
        cmocka_unit_test(placement_without_any_proof_is_said),
        cmocka_unit_test(perf_names_the_paranoid_level_that_would_do),
        cmocka_unit_test(registers_are_looked_for_on_an_allowed_cpu),
        cmocka_unit_test(nodes_with_gaps_and_without_cpus_or_memory_are_named),
        cmocka_unit_test(a_small_node_that_is_empty_does_not_warn),
        cmocka_unit_test(a_plain_machine_of_two_nodes_is_ok),
        cmocka_unit_test(balancing_warns_only_where_there_is_another_node),
        cmocka_unit_test(memory_settings_that_disturb_say_what_to_write_where),
        cmocka_unit_test(huge_pages_are_counted_on_allowed_nodes_only),
        cmocka_unit_test(a_governor_that_follows_the_load_warns_and_names_its_cpus),
        cmocka_unit_test(only_idle_states_in_use_count),
        cmocka_unit_test(a_slow_clock_source_warns_and_tells_whether_tsc_is_there),
        cmocka_unit_test(activity_is_the_share_of_ticks_between_two_looks),
        cmocka_unit_test(a_busy_cpu_is_named_with_the_idle_ones),
        cmocka_unit_test(a_busy_sibling_outside_the_cpuset_is_seen),
        cmocka_unit_test(a_cpuset_is_named_with_its_control_group),
        cmocka_unit_test(limits_of_groups_above_hold_in_version_2),
        cmocka_unit_test(limits_are_read_in_version_1_too),
        cmocka_unit_test(virtual_machines_are_known_by_processor_files_and_maker),
        cmocka_unit_test(isolated_cpus_are_a_hint),
        cmocka_unit_test(a_masked_machine_has_named_states_and_no_warnings),
        cmocka_unit_test(the_table_keeps_to_100_columns_whatever_is_in_it),
        cmocka_unit_test(json_escapes_what_firmware_may_say),
        cmocka_unit_test(what_is_not_ok_has_a_meaning_and_what_is_ok_nothing_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
