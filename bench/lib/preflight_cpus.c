/* Clock frequency, sleep states, threads that share a core, clocks. */
#include <stdlib.h>
#include <string.h>

#include "preflight_checks.h"

#define GOVERNORS 8

/* CPUs by the governor they have. */
struct governors {
    struct {
        char name[32];
        hwloc_bitmap_t cpus;
    } list[GOVERNORS];
    size_t count;
};

static void add_governor(struct governors *governors, const char *name, unsigned cpu) {
    size_t i = 0;
    while (i < governors->count && strcmp(governors->list[i].name, name) != 0)
        i++;
    if (i == GOVERNORS)
        return;
    if (i == governors->count) {
        snprintf(governors->list[i].name, sizeof governors->list[i].name, "%.31s", name);
        governors->list[i].cpus = hwloc_bitmap_alloc();
        governors->count++;
    }
    hwloc_bitmap_set(governors->list[i].cpus, cpu);
}

void look_at_governor(const struct preflight_machine *machine, struct preflight_check *check) {
    struct governors governors = {.count = 0};
    char text[FILE_TEXT], list[LIST_TEXT];
    bool steady = true;
    int cpu;
    hwloc_bitmap_foreach_begin(cpu, machine->cpus) {
        if (file_text(text, "%s/devices/system/cpu/cpu%d/cpufreq/scaling_governor", machine->sys,
                      cpu))
            add_governor(&governors, text, (unsigned)cpu);
    }
    hwloc_bitmap_foreach_end();
    for (size_t i = 0; i < governors.count; i++) {
        steady = steady && strcmp(governors.list[i].name, "performance") == 0;
        text_append(check->value, sizeof check->value, "%s%s on CPUs %s", i > 0 ? ", " : "",
                    governors.list[i].name, list_text(governors.list[i].cpus, list));
        hwloc_bitmap_free(governors.list[i].cpus);
    }
    if (governors.count == 0) {
        check->level = PREFLIGHT_NOTE;
        check_value(check, "no cpufreq in /sys");
        check_meaning(check, "The clock is the %s's affair; whether it is steady is not known.",
                      is_virtual(machine) ? "host" : "firmware");
    } else if (!steady) {
        check->level = PREFLIGHT_WARN;
        check_meaning(check, "The clock follows the load: a measurement begins slower than it "
                             "ends, and idle CPUs are slow to answer.");
        check_act(check, "cpupower frequency-set -g performance (root)");
    }
}

void look_at_turbo(const struct preflight_machine *machine, struct preflight_check *check) {
    long long value;
    bool on;
    const char *file;
    if (file_number(&value, "%s/devices/system/cpu/intel_pstate/no_turbo", machine->sys)) {
        on = value == 0;
        file = "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo (root)";
    } else if (file_number(&value, "%s/devices/system/cpu/cpufreq/boost", machine->sys)) {
        on = value != 0;
        file = "echo 0 > /sys/devices/system/cpu/cpufreq/boost (root)";
    } else {
        check_value(check, "not told");
        return;
    }
    check_value(check, "%s", on ? "on" : "off");
    if (!on)
        return;
    check->level = PREFLIGHT_NOTE;
    check_meaning(check, "The clock depends on heat and on how many cores are busy: cache "
                         "latencies, and runs of one thread and of many, differ by it.");
    check_act(check, "for steady figures: %s", file);
}

/* Enough for every driver: the kernel allows 10 (CPUIDLE_STATE_MAX). */
#define IDLE_STATES 16

/* Above this, waking a core costs more than what core-to-core latencies measure. */
#define SLOW_WAKE_US 20

void look_at_idle_states(const struct preflight_machine *machine, struct preflight_check *check) {
    int cpu = hwloc_bitmap_first(machine->cpus);
    char name[FILE_TEXT], slowest[40] = "";
    long long slowest_us = -1, latency_us, disabled;
    for (int state = 0; state < IDLE_STATES && cpu >= 0; state++) {
        char folder[FILE_TEXT];
        snprintf(folder, sizeof folder, "%.3000s/devices/system/cpu/cpu%d/cpuidle/state%d",
                 machine->sys, cpu, state);
        if (!file_number(&latency_us, "%s/latency", folder))
            continue;
        if (file_number(&disabled, "%s/disable", folder) && disabled != 0)
            continue;
        if (latency_us > slowest_us && file_text(name, "%s/name", folder)) {
            slowest_us = latency_us;
            snprintf(slowest, sizeof slowest, "%.39s", name);
        }
    }
    if (slowest_us < 0) {
        check_value(check, "no cpuidle in /sys");
        return;
    }
    check_value(check, "up to %s, %lld us to wake", slowest, slowest_us);
    if (slowest_us <= SLOW_WAKE_US)
        return;
    check->level = PREFLIGHT_NOTE;
    check_meaning(check, "Waiting threads wake late; uncore and package clocks may fall while few "
                         "CPUs are busy, which makes memory slower.");
    check_act(check,
              "for steady figures: cpupower idle-set -D %d (root), or tuned-adm profile "
              "latency-performance",
              SLOW_WAKE_US);
}

hwloc_bitmap_t siblings_of(const struct preflight_machine *machine, unsigned cpu) {
    return file_list("%s/devices/system/cpu/cpu%u/topology/thread_siblings_list", machine->sys,
                     cpu);
}

/* Of the CPUs this process may use, those that share a core with a busy one. */
static unsigned find_disturbed(const struct preflight_machine *machine, hwloc_bitmap_t disturbed) {
    unsigned threads = 0;
    int cpu, other;
    hwloc_bitmap_foreach_begin(cpu, machine->cpus) {
        hwloc_bitmap_t siblings = siblings_of(machine, (unsigned)cpu);
        if (siblings == NULL)
            continue;
        unsigned count = (unsigned)hwloc_bitmap_weight(siblings);
        threads = count > threads ? count : threads;
        hwloc_bitmap_foreach_begin(other, siblings) {
            const struct preflight_cpu_activity *activity = activity_of(machine, (unsigned)other);
            if (other != cpu && activity != NULL && activity->busy > BUSY_SHARE)
                hwloc_bitmap_set(disturbed, (unsigned)cpu);
        }
        hwloc_bitmap_foreach_end();
        hwloc_bitmap_free(siblings);
    }
    hwloc_bitmap_foreach_end();
    return threads;
}

void look_at_smt(const struct preflight_machine *machine, struct preflight_check *check) {
    hwloc_bitmap_t disturbed = hwloc_bitmap_alloc();
    unsigned threads = find_disturbed(machine, disturbed);
    char list[LIST_TEXT];
    if (threads == 0) {
        check->level = PREFLIGHT_NOTE;
        check_value(check, "not in /sys");
        check_meaning(check, "Which CPUs share a core is not known.");
    } else if (threads == 1) {
        check_value(check, "one thread a core%s",
                    is_virtual(machine) ? ", as the virtual machine is told" : "");
    } else if (hwloc_bitmap_iszero(disturbed)) {
        check_value(check, "%u threads a core, the siblings idle", threads);
    } else {
        check->level = PREFLIGHT_WARN;
        check_value(check, "%u threads a core; sibling busy: CPUs %s", threads,
                    list_text(disturbed, list));
        check_meaning(check, "What runs on the other thread of the core takes from its caches, "
                             "buffers and prefetchers.");
        check_act(check, "keep the siblings idle (taskset), or echo off > "
                         "/sys/devices/system/cpu/smt/control (root)");
    }
    hwloc_bitmap_free(disturbed);
}

void look_at_isolation(const struct preflight_machine *machine, struct preflight_check *check) {
    char isolated[LIST_TEXT] = "none", tickless[LIST_TEXT] = "none";
    hwloc_bitmap_t list = file_list("%s/devices/system/cpu/isolated", machine->sys);
    bool any = list != NULL && !hwloc_bitmap_iszero(list);
    if (any)
        list_text(list, isolated);
    hwloc_bitmap_free(list);
    list = file_list("%s/devices/system/cpu/nohz_full", machine->sys);
    if (list != NULL && !hwloc_bitmap_iszero(list))
        list_text(list, tickless);
    hwloc_bitmap_free(list);
    check_value(check, "isolated: %s; nohz_full: %s", isolated, tickless);
    if (!any)
        return;
    check->level = PREFLIGHT_NOTE;
    check_meaning(check, "The scheduler leaves these CPUs alone: the quietest place to measure.");
    check_act(check, "measure there: --cpu with one of %.60s", isolated);
}

/* Clock sources that the kernel lets programs read without a system call. */
static bool is_fast(const char *source) {
    static const char *const fast[] = {"tsc", "arch_sys_counter", "kvm-clock",
                                       "hyperv_clocksource_tsc_page"};
    for (size_t i = 0; i < sizeof fast / sizeof fast[0]; i++)
        if (strcmp(source, fast[i]) == 0)
            return true;
    return false;
}

void look_at_clock_source(const struct preflight_machine *machine, struct preflight_check *check) {
    char source[FILE_TEXT], available[FILE_TEXT];
    const char *folder = "devices/system/clocksource/clocksource0";
    if (!file_text(source, "%s/%s/current_clocksource", machine->sys, folder)) {
        check->level = PREFLIGHT_NOTE;
        check_value(check, "not in /sys");
        check_meaning(check, "What a look at the clock costs is not known.");
        return;
    }
    check_value(check, "%.60s%s", source,
                machine->processor.invariant_tsc ? ", invariant TSC" : "");
    if (is_fast(source))
        return;
    bool tsc = file_text(available, "%s/%s/available_clocksource", machine->sys, folder) &&
               strstr(available, "tsc") != NULL;
    check->level = PREFLIGHT_WARN;
    check_meaning(check, "A look at the clock is a system call of a microsecond or so; short "
                         "samples show it.");
    if (tsc)
        check_act(check, "echo tsc > /sys/%s/current_clocksource (root)", folder);
    else
        check_act(check, "dmesg | grep -i tsc says why it was given up; boot with tsc=reliable if "
                         "that was wrong");
}
