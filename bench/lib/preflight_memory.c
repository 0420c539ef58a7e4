/* Memory nodes, huge pages, and what the kernel does with pages behind the program's back. */
#include <stdlib.h>
#include <string.h>

#include "preflight_checks.h"
#include "units.h"

/* A node with less free than this does not hold the benchmarks' arrays without pages being
 * reclaimed; but one that is all but empty has nothing to reclaim. */
#define FREE_ENOUGH      ((uint64_t)1 << 30)
#define FREE_ENOUGH_PART 0.75

/* Nodes of one of /sys's lists, new; NULL when it cannot be read. */
static hwloc_bitmap_t node_list(const struct preflight_machine *machine, const char *name) {
    return file_list("%s/devices/system/node/%s", machine->sys, name);
}

static hwloc_bitmap_t memory_nodes(const struct preflight_machine *machine) {
    return node_list(machine, "has_memory");
}

/* Nodes of the first list that are not in the second, as text. */
static const char *missing_from(hwloc_const_bitmap_t all, hwloc_const_bitmap_t some,
                                char text[LIST_TEXT]) {
    hwloc_bitmap_t rest = hwloc_bitmap_alloc();
    hwloc_bitmap_andnot(rest, all, some);
    bool none = hwloc_bitmap_iszero(rest);
    list_text(rest, text);
    hwloc_bitmap_free(rest);
    return none ? NULL : text;
}

void look_at_nodes(const struct preflight_machine *machine, struct preflight_check *check) {
    hwloc_bitmap_t memory = memory_nodes(machine), cpus = node_list(machine, "has_cpu");
    char text[LIST_TEXT];
    if (memory == NULL || cpus == NULL) {
        check->level = PREFLIGHT_NOTE;
        check_value(check, "not in /sys");
        check_meaning(check, "Nodes, their CPUs and distances are not known; all memory counts as "
                             "one node.");
        check_act(check, "run where /sys is mounted, on a kernel with CONFIG_NUMA");
    } else {
        const char *without_cpus, *without_memory, *hidden;
        check_value(check, "with memory: %s", list_text(memory, text));
        text_append(check->value, sizeof check->value, "; with CPUs: %s", list_text(cpus, text));
        if ((without_cpus = missing_from(memory, cpus, text)) != NULL)
            text_append(check->meaning, sizeof check->meaning, "Without CPUs (CXL, HBM): %s. ",
                        without_cpus);
        if ((without_memory = missing_from(cpus, memory, text)) != NULL)
            text_append(check->meaning, sizeof check->meaning, "Without memory: %s. ",
                        without_memory);
        if ((hidden = missing_from(memory, machine->nodes, text)) != NULL)
            text_append(check->meaning, sizeof check->meaning,
                        "Not allowed to this process, so not measured: %s. ", hidden);
        if (hwloc_bitmap_weight(memory) < 2)
            text_append(check->meaning, sizeof check->meaning,
                        "One memory node: there is no remote memory to measure. ");
        size_t length = strlen(check->meaning);
        if (length > 0 && check->meaning[length - 1] == ' ')
            check->meaning[length - 1] = '\0';
        check->level = length > 0 ? PREFLIGHT_NOTE : PREFLIGHT_OK;
        if (hidden != NULL)
            check_act(check,
                      "start it with these nodes allowed: cpuset.mems, docker --cpuset-mems");
    }
    hwloc_bitmap_free(memory);
    hwloc_bitmap_free(cpus);
}

/* kB behind a key of a node's meminfo, as bytes. */
static bool meminfo_bytes(const char *meminfo, unsigned node, const char *key, uint64_t *bytes) {
    char line[60], value[FILE_TEXT];
    snprintf(line, sizeof line, "Node %u %s:", node, key);
    if (!line_value(meminfo, line, value))
        return false;
    *bytes = strtoull(value, NULL, 10) * 1024;
    return true;
}

static const char *gigabytes(uint64_t bytes, char text[24]) {
    snprintf(text, 24, "%.1fG", (double)bytes / ((uint64_t)1 << 30));
    return text;
}

void look_at_free_memory(const struct preflight_machine *machine, struct preflight_check *check) {
    char meminfo[FILE_TEXT], text[24], of[24];
    hwloc_bitmap_t low = hwloc_bitmap_alloc();
    int node;
    hwloc_bitmap_foreach_begin(node, machine->nodes) {
        uint64_t total, unused;
        unsigned id = (unsigned)node;
        if (!file_text(meminfo, "%s/devices/system/node/node%u/meminfo", machine->sys, id) ||
            !meminfo_bytes(meminfo, id, "MemTotal", &total) || total == 0 ||
            !meminfo_bytes(meminfo, id, "MemFree", &unused))
            continue;
        text_append(check->value, sizeof check->value, "%snode %u: %s of %s",
                    check->value[0] != '\0' ? ", " : "", id, gigabytes(unused, text),
                    gigabytes(total, of));
        if (unused < FREE_ENOUGH && (double)unused < FREE_ENOUGH_PART * (double)total)
            hwloc_bitmap_set(low, id);
    }
    hwloc_bitmap_foreach_end();
    if (check->value[0] == '\0') {
        check->level = PREFLIGHT_NOTE;
        check_value(check, "not in /sys");
        check_meaning(check, "How much memory is free on each node is not known.");
    } else if (!hwloc_bitmap_iszero(low)) {
        char list[LIST_TEXT];
        check->level = PREFLIGHT_WARN;
        check_meaning(check,
                      "Under 1G is free on nodes %s: pages spill to other nodes, or are "
                      "reclaimed while it is measured.",
                      list_text(low, list));
        check_act(check, "end programs that use it; file cache: echo 1 > /proc/sys/vm/drop_caches "
                         "(root)");
    }
    hwloc_bitmap_free(low);
}

/* The word in brackets of a file such as "always [madvise] never". */
static bool chosen_word(char word[32], const char *text) {
    const char *open = strchr(text, '[');
    size_t length = open != NULL ? strcspn(open + 1, "]") : 0;
    if (length == 0 || length >= 32)
        return false;
    memcpy(word, open + 1, length);
    word[length] = '\0';
    return true;
}

void look_at_thp(const struct preflight_machine *machine, struct preflight_check *check) {
    char text[FILE_TEXT], mode[32], defrag[32] = "?";
    if (!file_text(text, "%s/kernel/mm/transparent_hugepage/enabled", machine->sys) ||
        !chosen_word(mode, text)) {
        check->level = PREFLIGHT_NOTE;
        check_value(check, "not in /sys");
        check_meaning(check, "No transparent huge pages: page walks are part of every latency.");
        return;
    }
    if (file_text(text, "%s/kernel/mm/transparent_hugepage/defrag", machine->sys))
        chosen_word(defrag, text);
    check_value(check, "%s, defrag %s", mode, defrag);
    if (strcmp(mode, "madvise") == 0)
        return;
    check->level = PREFLIGHT_NOTE;
    if (strcmp(mode, "always") == 0)
        check_meaning(check, "Large arrays may be in 2M pages unasked: two runs may differ in page "
                             "walks. The pages in force stand in each row.");
    else
        check_meaning(check, "Memory asked for in transparent huge pages stays in small ones.");
    check_act(check, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (root)");
}

static void look_at_huge(const struct preflight_machine *machine, struct preflight_check *check,
                         unsigned kilobytes, const char *size) {
    long long reserved, unused, extra = 0;
    bool any = false,
         pool = file_exists("%s/kernel/mm/hugepages/hugepages-%ukB", machine->sys, kilobytes);
    int node;
    hwloc_bitmap_foreach_begin(node, machine->nodes) {
        const char *folder = "%s/devices/system/node/node%d/hugepages/hugepages-%ukB/";
        char base[FILE_TEXT];
        snprintf(base, sizeof base, folder, machine->sys, node, kilobytes);
        if (!file_number(&reserved, "%snr_hugepages", base) ||
            !file_number(&unused, "%sfree_hugepages", base))
            continue;
        any = any || unused > 0;
        text_append(check->value, sizeof check->value, "%snode %d: %lld of %lld free",
                    check->value[0] != '\0' ? ", " : "", node, unused, reserved);
    }
    hwloc_bitmap_foreach_end();
    file_number(&extra, "%s/kernel/mm/hugepages/hugepages-%ukB/nr_overcommit_hugepages",
                machine->sys, kilobytes);
    if (extra > 0)
        text_append(check->value, sizeof check->value, "%s%lld more on demand",
                    check->value[0] != '\0' ? ", " : "", extra);
    if (any || extra > 0)
        return;
    check->level = PREFLIGHT_NOTE;
    if (!pool && check->value[0] == '\0') {
        check_value(check, "no pages of this size");
        check_meaning(check, "The processor or the kernel has none; %s pages are not measured.",
                      size);
        return;
    }
    if (check->value[0] == '\0')
        check_value(check, "none on the allowed nodes");
    check_meaning(check, "None is free: %s pages cannot be measured.", size);
    check_act(check,
              "echo COUNT > /sys/devices/system/node/nodeN/hugepages/hugepages-%ukB/"
              "nr_hugepages (root)%s",
              kilobytes, kilobytes > 2048 ? ", or at boot: hugepagesz=1G hugepages=COUNT" : "");
}

void look_at_huge_2m(const struct preflight_machine *machine, struct preflight_check *check) {
    look_at_huge(machine, check, 2048, "2M");
}

void look_at_huge_1g(const struct preflight_machine *machine, struct preflight_check *check) {
    look_at_huge(machine, check, 1048576, "1G");
}

void look_at_numa_balancing(const struct preflight_machine *machine,
                            struct preflight_check *check) {
    long long mode;
    if (!file_number(&mode, "%s/sys/kernel/numa_balancing", machine->proc)) {
        check_value(check, "not in this kernel");
        return;
    }
    hwloc_bitmap_t nodes = memory_nodes(machine);
    bool several = nodes == NULL || hwloc_bitmap_weight(nodes) > 1;
    hwloc_bitmap_free(nodes);
    check_value(check, "%s", mode == 0 ? "off" : (mode & 2) != 0 ? "on, between tiers" : "on");
    if (mode == 0 || !several)
        return;
    check->level = PREFLIGHT_WARN;
    check_meaning(check, "The kernel unmaps pages to see who uses them and moves them to that node "
                         "during a measurement.");
    check_act(check, "echo 0 > /proc/sys/kernel/numa_balancing (root)");
}

void look_at_zone_reclaim(const struct preflight_machine *machine, struct preflight_check *check) {
    long long mode;
    if (!file_number(&mode, "%s/sys/vm/zone_reclaim_mode", machine->proc)) {
        check_value(check, "not in this kernel");
        return;
    }
    check_value(check, "%lld", mode);
    if (mode == 0)
        return;
    check->level = PREFLIGHT_WARN;
    check_meaning(check, "A node that fills up reclaims its pages before others are used: getting "
                         "memory becomes slow and uneven.");
    check_act(check, "echo 0 > /proc/sys/vm/zone_reclaim_mode (root)");
}

void look_at_overcommit(const struct preflight_machine *machine, struct preflight_check *check) {
    long long mode;
    if (!file_number(&mode, "%s/sys/vm/overcommit_memory", machine->proc)) {
        check_value(check, "not known");
        return;
    }
    check_value(check, "%lld (%s)", mode,
                mode == 0   ? "by judgement"
                : mode == 1 ? "always"
                            : "never");
    if (mode != 2)
        return;
    check->level = PREFLIGHT_NOTE;
    check_meaning(check, "Memory counts when it is reserved: large arrays, and numa_alloc's "
                         "address ranges, may be refused.");
    check_act(check, "echo 0 > /proc/sys/vm/overcommit_memory (root), should an array be refused");
}
