/* What confines this process: CPU set, control groups, a virtual machine. */
#include <stdlib.h>
#include <string.h>

#include "preflight_checks.h"

/* Below this much of a limit left the benchmarks' default arrays end the program. */
#define ROOM_ENOUGH ((uint64_t)1 << 30)

/* Version 1 writes a limit that is none as the largest number of whole pages. */
#define NO_LIMIT ((uint64_t)1 << 62)

static bool in_comma_list(const char *list, size_t length, const char *word) {
    size_t size = strlen(word);
    for (const char *at = list; at < list + length; at += strcspn(at, ",:") + 1)
        if (strncmp(at, word, size) == 0 && (at[size] == ',' || at[size] == ':'))
            return true;
    return false;
}

/* The group's folder, or the top's where the path is of a namespace that is not ours, as in
 * containers that mount their own group at the top. */
static void settle_path(struct cgroup *cgroup, const char *path) {
    snprintf(cgroup->path, sizeof cgroup->path, "%.2000s", strcmp(path, "/") == 0 ? "" : path);
    if (!file_exists("%s%s", cgroup->top, cgroup->path))
        cgroup->path[0] = '\0';
}

/* Lines of /proc/self/cgroup are HIERARCHY:CONTROLLERS:PATH; version 2's has no controllers. */
bool cgroup_find(const struct preflight_machine *machine, const char *controller,
                 struct cgroup *cgroup) {
    char text[FILE_TEXT], unified[FILE_TEXT] = "";
    if (!file_text(text, "%s/self/cgroup", machine->proc))
        return false;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL)
            continue;
        controllers++;
        size_t length = (size_t)(path - controllers);
        if (length == 0) {
            strcpy(unified, path + 1);
        } else if (in_comma_list(controllers, length, controller)) {
            cgroup->v2 = false;
            snprintf(cgroup->top, sizeof cgroup->top, "%.2000s/fs/cgroup/%.*s", machine->sys,
                     (int)length, controllers);
            if (!file_exists("%s", cgroup->top))
                snprintf(cgroup->top, sizeof cgroup->top, "%.2000s/fs/cgroup/%s", machine->sys,
                         controller);
            settle_path(cgroup, path + 1);
            return file_exists("%s", cgroup->top);
        }
    }
    cgroup->v2 = true;
    snprintf(cgroup->top, sizeof cgroup->top, "%.2000s/fs/cgroup", machine->sys);
    if (unified[0] == '\0' || !file_exists("%s/cgroup.controllers", cgroup->top))
        return false;
    settle_path(cgroup, unified);
    return true;
}

/* Goes to the group above; false at the top. A limit of any group above holds too. */
static bool go_up(struct cgroup *cgroup) {
    char *slash = strrchr(cgroup->path, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

/* "all 8" or "2-3 of 0-7". */
static bool tell_part(char *text, size_t size, const char *what, hwloc_const_bitmap_t some,
                      hwloc_const_bitmap_t all) {
    char few[LIST_TEXT], many[LIST_TEXT];
    bool part = all != NULL && !hwloc_bitmap_isincluded(all, some);
    if (part)
        text_append(text, size, "%s %s of %s", what, list_text(some, few), list_text(all, many));
    else
        text_append(text, size, "all %s (%s)", what, list_text(some, few));
    return part;
}

void look_at_cpuset(const struct preflight_machine *machine, struct preflight_check *check) {
    struct cgroup cgroup;
    char text[FILE_TEXT];
    hwloc_bitmap_t cpus = file_list("%s/devices/system/cpu/online", machine->sys);
    hwloc_bitmap_t nodes = file_list("%s/devices/system/node/has_memory", machine->sys);
    bool part = tell_part(check->value, sizeof check->value, "CPUs", machine->cpus, cpus);
    text_append(check->value, sizeof check->value, ", ");
    part = tell_part(check->value, sizeof check->value, "nodes", machine->nodes, nodes) || part;
    hwloc_bitmap_free(cpus);
    hwloc_bitmap_free(nodes);
    if (!part)
        return;
    check->level = PREFLIGHT_NOTE;
    bool by_group = cgroup_find(machine, "cpuset", &cgroup) &&
                    file_text(text, "%s%s/%s", cgroup.top, cgroup.path,
                              cgroup.v2 ? "cpuset.cpus.effective" : "cpuset.effective_cpus");
    check_meaning(check, "The rest of the machine is not measured%s%.60s%s.",
                  by_group ? " (the control group's CPUs: " : "", by_group ? text : "",
                  by_group ? ")" : "");
    check_act(check, "start it without taskset, numactl, --cpuset-cpus, --cpuset-mems or a batch "
                     "system's share, to measure all");
}

/* CPUs' worth of time that one group may use; false when it has no quota. */
static bool read_quota(const struct cgroup *cgroup, double *cpus, double *period_us) {
    char text[FILE_TEXT];
    long long quota, period;
    if (cgroup->v2) {
        if (!file_text(text, "%s%s/cpu.max", cgroup->top, cgroup->path) ||
            sscanf(text, "%lld %lld", &quota, &period) != 2)
            return false; /* "max 100000" */
    } else if (!file_number(&quota, "%s%s/cpu.cfs_quota_us", cgroup->top, cgroup->path) ||
               !file_number(&period, "%s%s/cpu.cfs_period_us", cgroup->top, cgroup->path)) {
        return false;
    }
    if (quota <= 0 || period <= 0)
        return false;
    *cpus = (double)quota / (double)period;
    *period_us = (double)period;
    return true;
}

void look_at_cpu_quota(const struct preflight_machine *machine, struct preflight_check *check) {
    struct cgroup cgroup;
    char text[FILE_TEXT], value[FILE_TEXT];
    double least = 0, period_us = 0, cpus, period;
    unsigned long long throttled = 0, times;
    if (!cgroup_find(machine, "cpu", &cgroup)) {
        check_value(check, "no control group in /sys");
        return;
    }
    do {
        if (read_quota(&cgroup, &cpus, &period) && (least <= 0 || cpus < least)) {
            least = cpus;
            period_us = period;
        }
        if (file_text(text, "%s%s/cpu.stat", cgroup.top, cgroup.path) &&
            line_value(text, "nr_throttled", value) &&
            (times = strtoull(value, NULL, 10)) > throttled)
            throttled = times;
    } while (go_up(&cgroup));
    if (least <= 0) {
        check_value(check, "none");
        return;
    }
    check_value(check, "%.2f CPUs of time each %.0f ms; stopped %llu times so far", least,
                period_us / 1000, throttled);
    check->level = PREFLIGHT_WARN;
    check_meaning(check, "When that is used up all threads stop until the next period: gaps in "
                         "samples, and bandwidth of more threads than that is cut.");
    check_act(check, "start without a quota (docker --cpus, CPUQuota=, cpu limits), with a CPU set "
                     "instead");
}

static bool read_size(const struct cgroup *cgroup, const char *v2, const char *v1,
                      uint64_t *bytes) {
    long long number;
    if (!file_number(&number, "%s%s/%s", cgroup->top, cgroup->path, cgroup->v2 ? v2 : v1) ||
        number < 0)
        return false;
    *bytes = (uint64_t)number;
    return true;
}

void look_at_memory_limit(const struct preflight_machine *machine, struct preflight_check *check) {
    struct cgroup cgroup;
    uint64_t limit, used, least_room = NO_LIMIT, least_limit = NO_LIMIT;
    if (!cgroup_find(machine, "memory", &cgroup)) {
        check_value(check, "no control group in /sys");
        return;
    }
    do {
        if (!read_size(&cgroup, "memory.max", "memory.limit_in_bytes", &limit) || limit >= NO_LIMIT)
            continue;
        if (!read_size(&cgroup, "memory.current", "memory.usage_in_bytes", &used))
            used = 0;
        uint64_t room = limit > used ? limit - used : 0;
        if (room < least_room) {
            least_room = room;
            least_limit = limit;
        }
    } while (go_up(&cgroup));
    if (least_limit == NO_LIMIT) {
        check_value(check, "none");
        return;
    }
    check_value(check, "%.1fG, %.1fG of it left", (double)least_limit / ROOM_ENOUGH,
                (double)least_room / ROOM_ENOUGH);
    check->level = least_room < ROOM_ENOUGH ? PREFLIGHT_WARN : PREFLIGHT_NOTE;
    check_meaning(check, "Larger arrays end the program; near the limit pages are reclaimed while "
                         "it measures.");
    check_act(check, "keep --size, times its arrays, below what is left, or raise the limit "
                     "(docker --memory, MemoryMax=)");
}

/* Names for what CPUID leaf 4000_0000h says, as the hypervisors document them. */
static const char *hypervisor_name(const char *signature) {
    static const char *const names[][2] = {
        {"KVMKVMKVM", "KVM"},         {"Microsoft Hv", "Hyper-V"},  {"VMwareVMware", "VMware"},
        {"XenVMMXenVMM", "Xen"},      {"TCGTCGTCGTCG", "QEMU TCG"}, {"bhyve bhyve ", "bhyve"},
        {"ACRNACRNACRN", "ACRN"},     {" QNXQVMBSQG ", "QNX"},      {"VBoxVBoxVBox", "VirtualBox"},
        {" lrpepyh  vr", "Parallels"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(signature, names[i][0]) == 0)
            return names[i][1];
    return signature;
}

/* Makers that firmware (SMBIOS) and device trees name in virtual machines; asked where there is no
 * CPUID to say it. Clouds that rent whole machines put "metal" into the product's name. */
static bool maker_is_virtual(const struct preflight_machine *machine, const char *maker) {
    static const char *const makers[] = {"QEMU",    "KVM",        "VMware",
                                         "Xen",     "Amazon EC2", "Google",
                                         "Alibaba", "OpenStack",  "linux,dummy-virt"};
    char product[FILE_TEXT];
    if (machine->processor.vendor[0] != '\0' ||
        (file_text(product, "%s/class/dmi/id/product_name", machine->sys) &&
         strstr(product, "metal") != NULL))
        return false;
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++)
        if (strncmp(maker, makers[i], strlen(makers[i])) == 0)
            return true;
    return false;
}

static bool cpuinfo_says_hypervisor(const struct preflight_machine *machine) {
    char text[FILE_TEXT], flags[FILE_TEXT];
    return file_text(text, "%s/cpuinfo", machine->proc) && line_value(text, "flags", flags) &&
           strstr(flags, " hypervisor") != NULL;
}

/* What made the machine, as firmware or a device tree says; an empty text when they do not. */
static void read_maker(const struct preflight_machine *machine, char maker[FILE_TEXT]) {
    if (!file_text(maker, "%s/class/dmi/id/sys_vendor", machine->sys))
        file_text(maker, "%s/device-tree/compatible", machine->proc);
}

bool is_virtual(const struct preflight_machine *machine) {
    char text[FILE_TEXT];
    if (machine->processor.virtualised || cpuinfo_says_hypervisor(machine) ||
        (file_text(text, "%s/hypervisor/type", machine->sys) && text[0] != '\0'))
        return true;
    read_maker(machine, text);
    return maker_is_virtual(machine, text);
}

void look_at_virtualisation(const struct preflight_machine *machine,
                            struct preflight_check *check) {
    char maker[FILE_TEXT], type[FILE_TEXT];
    const char *whose = hypervisor_name(machine->processor.hypervisor);
    if (!is_virtual(machine)) {
        check_value(check, "no sign of it");
        return;
    }
    if (whose[0] == '\0' && file_text(type, "%s/hypervisor/type", machine->sys))
        whose = type;
    read_maker(machine, maker);
    check->level = PREFLIGHT_NOTE;
    check_value(check, "%.60s%s%.60s", whose[0] != '\0' ? whose : "yes",
                maker[0] != '\0' ? ", by " : "", maker);
    check_meaning(check, "Nodes, caches and CPUs are what the host shows: its placement, other "
                         "guests and second page walk are part of the numbers.");
    check_act(check, "take more rounds, and say so beside the figures; bare metal settles it");
}
