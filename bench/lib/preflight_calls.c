/* What the kernel and the processor let a benchmark do. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <numaif.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "prefetchers.h"
#include "preflight_checks.h"

#define MASK_NODES 1024 /* the kernel's own limit on node ids */

static int ask_mbind(unsigned node) {
    unsigned long mask[MASK_NODES / (8 * sizeof(unsigned long))] = {0};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return errno;
    if (node < MASK_NODES)
        mask[node / (8 * sizeof mask[0])] |= 1ul << node % (8 * sizeof mask[0]);
    /* The kernel reads one bit less than it is told. */
    int error =
        syscall(SYS_mbind, memory, page, MPOL_BIND, mask, MASK_NODES + 1, 0) != 0 ? errno : 0;
    munmap(memory, page);
    return error;
}

static int ask_move_pages(void) {
    int there = 0, status = -1;
    void *page = &there; /* written above, so it is present */
    if (syscall(SYS_move_pages, 0, 1ul, &page, NULL, &status, 0) != 0)
        return errno;
    return status < 0 ? -status : 0;
}

static int ask_perf(uint32_t type, uint64_t config, int process, int cpu) {
    struct perf_event_attr event = {
        .type = type, .size = sizeof event, .config = config, .disabled = 1};
    event.exclude_kernel = process == 0;
    event.exclude_hv = process == 0;
    int file = (int)syscall(SYS_perf_event_open, &event, process, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    if (file < 0)
        return errno;
    close(file);
    return 0;
}

int preflight_ask_kernel(enum preflight_call call, unsigned node) {
    int mode;
    switch (call) {
    case PREFLIGHT_MBIND:
        return ask_mbind(node);
    case PREFLIGHT_SET_MEMPOLICY:
        return syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0ul) != 0 ? errno : 0;
    case PREFLIGHT_GET_MEMPOLICY:
        return syscall(SYS_get_mempolicy, &mode, NULL, 0ul, NULL, 0ul) != 0 ? errno : 0;
    case PREFLIGHT_MOVE_PAGES:
        return ask_move_pages();
    case PREFLIGHT_PERF_CORE:
        return ask_perf(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, 0, -1);
    case PREFLIGHT_PERF_SYSTEM_WIDE:
        /* The permission is the same for every event of a CPU; this one every kernel has. */
        return ask_perf(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, -1, 0);
    }
    return ENOSYS;
}

static bool is_filtered(const struct preflight_machine *machine) {
    char status[FILE_TEXT], value[FILE_TEXT];
    return file_text(status, "%s/self/status", machine->proc) &&
           line_value(status, "Seccomp:", value) && value[0] == '2';
}

/* A system call of NUMA: one that is refused is a note, since the numbers stay right. */
static void look_at_call(const struct preflight_machine *machine, struct preflight_check *check,
                         enum preflight_call call, const char *without) {
    int node = hwloc_bitmap_first(machine->nodes);
    int error = machine->try(call, node < 0 ? 0 : (unsigned)node);
    if (error == 0) {
        check_value(check, "works");
        return;
    }
    bool filtered = is_filtered(machine);
    check->level = PREFLIGHT_NOTE;
    check_value(check, "%s: %s%s", error == EPERM ? "refused" : "fails", strerror(error),
                filtered && (error == EPERM || error == ENOSYS) ? ", by a seccomp filter" : "");
    check_meaning(check, "%s", without);
    if (error == EPERM && filtered)
        check_act(check,
                  "start the container with --cap-add SYS_NICE, or with a seccomp profile "
                  "that allows %s",
                  check->name);
    else if (error == EPERM)
        check_act(check, "run as a user or under a security policy that allows %s", check->name);
    else if (error == ENOSYS && !filtered)
        check_act(check, "boot a kernel with CONFIG_NUMA%s",
                  call == PREFLIGHT_MOVE_PAGES ? " and CONFIG_MIGRATION" : "");
}

void look_at_mbind(const struct preflight_machine *machine, struct preflight_check *check) {
    look_at_call(machine, check, PREFLIGHT_MBIND,
                 "Memory cannot be placed by hand (--node); only where a thread first touches it.");
}

void look_at_set_mempolicy(const struct preflight_machine *machine, struct preflight_check *check) {
    look_at_call(machine, check, PREFLIGHT_SET_MEMPOLICY,
                 "numactl --membind and --interleave do not work.");
}

void look_at_get_mempolicy(const struct preflight_machine *machine, struct preflight_check *check) {
    look_at_call(machine, check, PREFLIGHT_GET_MEMPOLICY,
                 "A policy that numactl has set is not seen; pages are still looked at.");
}

void look_at_move_pages(const struct preflight_machine *machine, struct preflight_check *check) {
    look_at_call(machine, check, PREFLIGHT_MOVE_PAGES,
                 "Where pages are is read from numa_maps, a whole mapping at a time; pages cannot "
                 "be moved.");
}

void look_at_numa_maps(const struct preflight_machine *machine, struct preflight_check *check) {
    char text[FILE_TEXT];
    if (file_text(text, "%s/self/numa_maps", machine->proc) && text[0] != '\0') {
        check_value(check, "readable");
        return;
    }
    bool proof = machine->try(PREFLIGHT_MOVE_PAGES, 0) == 0;
    check->level = PREFLIGHT_NOTE;
    check_value(check, "not readable");
    check_meaning(check, "%s",
                  proof ? "move_pages says where pages are; only mapping-wide answers are missing."
                        : "Nothing says where pages are: placement will be \"unverified\".");
    if (!proof)
        check_act(check, "mount /proc, on a kernel with CONFIG_NUMA, and allow move_pages");
}

static void read_paranoid(const struct preflight_machine *machine, char text[40]) {
    long long level;
    if (file_number(&level, "%s/sys/kernel/perf_event_paranoid", machine->proc))
        snprintf(text, 40, "perf_event_paranoid %lld", level);
    else
        strcpy(text, "perf_event_paranoid not readable");
}

static void tell_perf_refusal(const struct preflight_machine *machine,
                              struct preflight_check *check, int error, int paranoid) {
    check->level = PREFLIGHT_NOTE;
    if (error == ENOSYS || (error == EPERM && is_filtered(machine)))
        check_act(check, "start the container with --cap-add PERFMON and a seccomp profile that "
                         "allows perf_event_open");
    else if (error == EACCES || error == EPERM)
        check_act(check, "sysctl kernel.perf_event_paranoid=%d (root), or give CAP_PERFMON",
                  paranoid);
}

void look_at_perf_core(const struct preflight_machine *machine, struct preflight_check *check) {
    char paranoid[40];
    int error = machine->try(PREFLIGHT_PERF_CORE, 0);
    bool none = error == ENOENT || error == EOPNOTSUPP;
    read_paranoid(machine, paranoid);
    check_value(check, "%s (%s)",
                error == 0 ? "works"
                : none     ? "no counters here"
                           : strerror(error),
                paranoid);
    if (error == 0)
        return;
    tell_perf_refusal(machine, check, error, 2);
    check_meaning(check, "Cycles, misses and page walks cannot be counted.");
    if (none && is_virtual(machine))
        check_act(check, "give the virtual machine a vPMU, or measure on its host");
}

/* Kernel's names of what counts at memory controllers and between sockets. */
static bool is_uncore(const char *name) {
    static const char *const beginnings[] = {"uncore_", "amd_umc", "amd_df", "arm_cmn",
                                             "arm_dsu", "dmc620",  "hisi_",  "nvidia_scf",
                                             "cxl_pmu", "imx8_ddr"};
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
        if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

static unsigned count_uncore(const struct preflight_machine *machine, char first[60]) {
    char path[FILE_TEXT];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/bus/event_source/devices", machine->sys);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (is_uncore(entry->d_name) && (count++ == 0 || strcmp(entry->d_name, first) < 0))
            snprintf(first, 60, "%.59s", entry->d_name);
    closedir(folder);
    return count;
}

void look_at_perf_uncore(const struct preflight_machine *machine, struct preflight_check *check) {
    char first[60] = "";
    unsigned count = count_uncore(machine, first);
    check_meaning(check, "The memory controllers' own traffic cannot be counted.");
    if (count == 0) {
        check->level = PREFLIGHT_NOTE;
        check_value(check, "no uncore counters in /sys");
        if (!is_virtual(machine))
            check_act(check, "load the processor's uncore module (intel_uncore, amd_uncore, "
                             "arm_cmn), if it has one");
        return;
    }
    int error = machine->try(PREFLIGHT_PERF_SYSTEM_WIDE, 0);
    check_value(check, "%u units (%s, ...): %s", count, first,
                error == 0 ? "allowed" : strerror(error));
    if (error == 0)
        check->meaning[0] = '\0';
    else
        tell_perf_refusal(machine, check, error, 0);
}

/* 0 when the registers of the first CPU this process may use can be opened to write; else errno. */
static int open_msr(const struct preflight_machine *machine) {
    char path[FILE_TEXT];
    int cpu = hwloc_bitmap_first(machine->cpus);
    snprintf(path, sizeof path, "%s/cpu/%d/msr", machine->dev, cpu < 0 ? 0 : cpu);
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return errno;
    close(file);
    return 0;
}

void look_at_msr(const struct preflight_machine *machine, struct preflight_check *check) {
    int error = open_msr(machine);
    if (machine->processor.vendor[0] == '\0') {
        check_value(check, "not of this architecture");
        return;
    }
    check_value(check, "%s",
                error == 0                          ? "writable"
                : error == ENOENT || error == ENXIO ? "no /dev/cpu/*/msr"
                                                    : "not writable");
    if (error == 0)
        return;
    check->level = PREFLIGHT_NOTE;
    check_meaning(check, "Prefetchers cannot be switched; random chains do not need it.");
    if (error == ENOENT || error == ENXIO)
        check_act(check, "modprobe msr (root), where the kernel has the module");
    else
        check_act(check, "run as root with CAP_SYS_RAWIO, without kernel lockdown (Secure Boot)");
}

void look_at_prefetchers(const struct preflight_machine *machine, struct preflight_check *check) {
    const struct processor *processor = &machine->processor;
    struct prefetchers_switch found = prefetchers_find(processor);
    if (found.off_bits == 0) {
        check->level = PREFLIGHT_NOTE;
        check_value(check, "cannot be switched: %s",
                    processor->vendor[0] == '\0' ? "no register on this architecture"
                    : is_virtual(machine)        ? "the virtual processor shows no switch"
                                                 : "not known for this processor");
        check_meaning(check, "Sequential and strided chains show what the prefetchers leave; "
                             "random ones do not need it.");
        return;
    }
    check_value(check, "MSR 0x%X, bits 0x%llX%s", found.address, (unsigned long long)found.off_bits,
                open_msr(machine) == 0 ? "" : "; see msr");
}
