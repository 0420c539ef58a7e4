/* The machine as bench/preflight and the memory controllers' counters see it. */
#include "bench/lib/controller.h"
#include "bench/lib/fault.h"
#include "bench/lib/preflight.h"

#include "fuzz.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const files[] = {
    "self/status",
    "meminfo",
    "loadavg",
    "sys/kernel/numa_balancing",
    "self/cgroup",
    "devices/system/node/has_memory",
    "devices/system/node/online",
    "devices/system/node/node0/meminfo",
    "devices/system/node/node0/cpulist",
    "devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages",
    "devices/system/cpu/online",
    "devices/system/cpu/isolated",
    "devices/system/cpu/smt/active",
    "devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "devices/system/clocksource/clocksource0/current_clocksource",
    "kernel/mm/transparent_hugepage/enabled",
    "fs/cgroup/cpu.max",
    "fs/cgroup/cpu.stat",
    "fs/cgroup/memory.max",
    "uncore_imc_0/cpumask",
    "uncore_imc_0/type",
    "uncore_imc_0/events/cas_count_read",
    "uncore_imc_0/events/cas_count_read.scale",
    "uncore_imc_0/events/cas_count_read.unit",
    "uncore_imc_0/format/event",
    "uncore_imc_0/format/umask",
};

static int refuse(enum preflight_call call, unsigned node) {
    return node % 2 == 0 ? (int)call : 0;
}

/* Lines of at most 100 columns, and nothing else that a terminal would obey. */
static void check_printed(const char *text) {
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n");
        fuzz_expect(length <= 100 || strstr(line, " checks warn: ") != NULL);
        for (size_t i = 0; i < length; i++)
            fuzz_expect(!iscntrl((unsigned char)line[i]));
    }
}

static void run_preflight(const char *root) {
    struct preflight_machine machine = {.proc = root, .sys = root, .dev = root, .try = refuse};
    size_t count = 0;
    if (!preflight_open(&machine))
        return;
    struct preflight_check *checks = preflight_run(&machine, &count);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (checks != NULL && out != NULL) {
        preflight_print(out, checks, count);
        fflush(out);
        check_printed(text);
        preflight_print_json(out, &machine, NULL, checks, count);
    }
    if (out != NULL)
        fclose(out);
    free(text);
    free(checks);
    preflight_close(&machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct controller_event events[16];
    fuzz_files(&bytes, &size, files, sizeof files / sizeof *files);
    size_t found = controller_find(fuzz_folder(), events, 16);
    for (size_t i = 0; i < found && i < 16; i++)
        fuzz_expect(events[i].bytes > 0);
    (void)fault_free_bytes(fuzz_folder(), 0, PAGE_2M);
    (void)fault_free_bytes(fuzz_folder(), 0, PAGE_BASE);
    run_preflight(fuzz_folder());
    return 0;
}
