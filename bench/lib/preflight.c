#include "preflight.h"

#include <stdlib.h>

#include "preflight_checks.h"
#include "topology.h"

static const struct {
    const char *name;
    preflight_look *look;
} rows[] = {
    {"mbind", look_at_mbind},
    {"set_mempolicy", look_at_set_mempolicy},
    {"get_mempolicy", look_at_get_mempolicy},
    {"move_pages", look_at_move_pages},
    {"numa_maps", look_at_numa_maps},
    {"perf_core", look_at_perf_core},
    {"perf_uncore", look_at_perf_uncore},
    {"msr", look_at_msr},
    {"prefetchers", look_at_prefetchers},
    {"nodes", look_at_nodes},
    {"free_memory", look_at_free_memory},
    {"cpuset", look_at_cpuset},
    {"cpu_quota", look_at_cpu_quota},
    {"memory_limit", look_at_memory_limit},
    {"overcommit", look_at_overcommit},
    {"thp", look_at_thp},
    {"huge_2m", look_at_huge_2m},
    {"huge_1g", look_at_huge_1g},
    {"numa_balancing", look_at_numa_balancing},
    {"zone_reclaim", look_at_zone_reclaim},
    {"governor", look_at_governor},
    {"turbo", look_at_turbo},
    {"idle_states", look_at_idle_states},
    {"clock_source", look_at_clock_source},
    {"isolated_cpus", look_at_isolation},
    {"smt", look_at_smt},
    {"busy_cpus", look_at_busy_cpus},
    {"load_average", look_at_load_average},
    {"steal", look_at_steal},
    {"virtualised", look_at_virtualisation},
};

#define ROWS (sizeof rows / sizeof rows[0])

/* What this process may use of CPUs or nodes; where that is not told, all that /sys lists, else
 * the first. */
static hwloc_bitmap_t allowed(const struct preflight_machine *machine, const char *key,
                              const char *all) {
    char status[FILE_TEXT], value[FILE_TEXT];
    hwloc_bitmap_t list = hwloc_bitmap_alloc();
    if (list != NULL && file_text(status, "%s/self/status", machine->proc) &&
        line_value(status, key, value) && topology_parse_cpus(value, list))
        return list;
    hwloc_bitmap_free(list);
    list = file_list("%s/devices/system/%s", machine->sys, all);
    if (list == NULL && (list = hwloc_bitmap_alloc()) != NULL)
        hwloc_bitmap_only(list, 0);
    return list;
}

bool preflight_open(struct preflight_machine *machine) {
    machine->activity = (struct preflight_activity){0};
    machine->cpus = allowed(machine, "Cpus_allowed_list:", "cpu/online");
    machine->nodes = allowed(machine, "Mems_allowed_list:", "node/has_memory");
    if (machine->cpus != NULL && machine->nodes != NULL)
        return true;
    preflight_close(machine);
    return false;
}

void preflight_close(struct preflight_machine *machine) {
    hwloc_bitmap_free(machine->cpus);
    hwloc_bitmap_free(machine->nodes);
    free(machine->activity.cpus);
}

struct preflight_check *preflight_run(const struct preflight_machine *machine, size_t *count) {
    struct preflight_check *checks = calloc(ROWS, sizeof *checks);
    *count = checks != NULL ? ROWS : 0;
    for (size_t i = 0; i < *count; i++) {
        checks[i].name = rows[i].name;
        rows[i].look(machine, &checks[i]);
    }
    return checks;
}

const char *preflight_level_name(enum preflight_level level) {
    static const char *const names[] = {"ok", "note", "warn"};
    return names[level];
}
