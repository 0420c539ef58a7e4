/*
 * QEMU plugin: lets each cache line that a guest program fetches from memory take a fixed time, one
 * from the CPU's own node and another from the other node. Options (all needed): local_ns,
 * remote_ns (at least the emulator's own cost, about 400 ns), node_bytes (memory of each of the two
 * nodes), report (a file that gets the number of lines fetched by each CPU from each node when the
 * machine ends).
 *
 * Nothing is modelled but a small cache a CPU: no prefetch, no overlapping misses, no bandwidth
 * limit.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pace_model.h"

/* The few declarations of QEMU's plugin interface that are needed: its header is not packaged.
 * https://www.qemu.org/docs/master/devel/tcg-plugins.html */
typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_MEM_RW = 3 };
typedef void qemu_plugin_tb_trans_cb(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void qemu_plugin_mem_cb(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address,
                                void *data);
typedef void qemu_plugin_exit_cb(qemu_plugin_id_t id, void *data);
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                                  qemu_plugin_tb_trans_cb *callback);
extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
                                             qemu_plugin_mem_cb *callback, int flags, int which,
                                             void *data);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_exit_cb *callback,
                                           void *data);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
                                                        size_t index);
extern struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info,
                                                         uint64_t address);
extern bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address);
extern uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address);

/* 1 up to QEMU 8, 2 from QEMU 9 on; each refuses the other's. vm.sh chooses. */
#ifndef PACE_PLUGIN_VERSION
#define PACE_PLUGIN_VERSION 1
#endif
__attribute__((visibility("default"))) int qemu_plugin_version = PACE_PLUGIN_VERSION;
__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

/* Lateness from which it pays to ask the host for the reason, which takes about 5 us. */
enum { LATE_NS = 50000 };

/* Most that a CPU is owed: a few of the host's time slices. More would come from before a
 * measurement. */
enum { OWED_NS_MAX = 10000000 };

/* Written by one CPU's thread alone, so each on lines of its own. */
struct cpu {
    struct pace_cache cache;
    uint64_t end_ticks;  /* of the previous paced access */
    uint64_t owed_ticks; /* taken away by the host and not yet made up for */
    uint64_t taken_ns;   /* by the host since this CPU's thread began, when last asked */
    uint64_t fetched[PACE_NODES];
} __attribute__((aligned(128)));

static struct {
    struct cpu cpus[PACE_CPUS];
    uint64_t latency_ticks[2]; /* local, remote */
    uint64_t late_ticks;
    uint64_t owed_ticks_max;
    double ticks_per_ns;
    uint64_t node_bytes;
    const char *report;
    /* Set with the first access to a kernel address and never cleared, so its race is harmless:
     * firmware and the kernel's decompressor run at low addresses too and would take half a minute
     * if paced. */
    bool kernel_runs;
} pace;

static uint64_t now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__)
static uint64_t now_ticks(void) {
    return __builtin_ia32_rdtsc();
}

/* The time-stamp counter's rate, over 50 ms of the kernel's clock: exact to about 1 in 100,000. */
static double ticks_per_ns(void) {
    uint64_t start_ns = now_ns(), start_ticks = now_ticks(), end_ns;

    do
        end_ns = now_ns();
    while (end_ns - start_ns < 50000000);
    return (double)(now_ticks() - start_ticks) / (double)(end_ns - start_ns);
}
#else
static uint64_t now_ticks(void) {
    return now_ns();
}

static double ticks_per_ns(void) {
    return 1;
}
#endif

/* How long the calling thread has waited for a host processor, from /proc/thread-self/schedstat; 0
 * when the host does not say. */
static uint64_t taken_ns(void) {
    char text[96];
    uint64_t taken = 0;
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    if (length > 0) {
        text[length] = '\0';
        if (sscanf(text, "%*u %" SCNu64, &taken) != 1)
            taken = 0;
    }
    return taken;
}

/* The CPU comes to its access late: owes it what of that the host took, but nothing for what the
 * guest did in between or for being idle. */
static void note_lateness(struct cpu *cpu, uint64_t lateness_ticks) {
    uint64_t before_ns = cpu->taken_ns, taken_ticks;

    cpu->taken_ns = taken_ns();
    if (before_ns == 0)
        return;
    taken_ticks = (uint64_t)((double)(cpu->taken_ns - before_ns) * pace.ticks_per_ns);
    cpu->owed_ticks += taken_ticks < lateness_ticks ? taken_ticks : lateness_ticks;
    if (cpu->owed_ticks > pace.owed_ticks_max)
        cpu->owed_ticks = pace.owed_ticks_max;
}

static void access_memory(unsigned cpu_id, qemu_plugin_meminfo_t info, uint64_t address,
                          void *data) {
    struct cpu *cpu = &pace.cpus[cpu_id % PACE_CPUS];
    struct qemu_plugin_hwaddr *hardware_address;
    uint64_t latency, now;
    int node;

    (void)data;
    if (pace_is_kernel_address(address)) {
        if (!pace.kernel_runs)
            pace.kernel_runs = true;
        return;
    }
    if (!pace.kernel_runs || pace_cache_touch(&cpu->cache, address))
        return;
    hardware_address = qemu_plugin_get_hwaddr(info, address);
    if (hardware_address == NULL || qemu_plugin_hwaddr_is_io(hardware_address))
        return;
    node = pace_node_of(qemu_plugin_hwaddr_phys_addr(hardware_address), pace.node_bytes);
    if (node < 0)
        return;
    cpu->fetched[node]++;
    latency = pace.latency_ticks[node != pace_node_of_cpu(cpu_id)];
    now = now_ticks();
    if (now > cpu->end_ticks + latency + pace.late_ticks)
        note_lateness(cpu, now - cpu->end_ticks - latency);
    cpu->end_ticks = pace_end(cpu->end_ticks, now, latency, &cpu->owed_ticks);
    while (now_ticks() < cpu->end_ticks)
        ;
}

static void translate_block(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    size_t count = qemu_plugin_tb_n_insns(block);

    (void)id;
    for (size_t i = 0; i < count; i++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(block, i), access_memory,
                                         QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
}

static void write_report(qemu_plugin_id_t id, void *data) {
    FILE *file = fopen(pace.report, "w");

    (void)id;
    (void)data;
    if (file == NULL)
        return;
    for (unsigned i = 0; i < PACE_CPUS; i++)
        fprintf(file, "cpu %u: lines fetched from node 0: %" PRIu64 ", from node 1: %" PRIu64 "\n",
                i, pace.cpus[i].fetched[0], pace.cpus[i].fetched[1]);
    fclose(file);
}

/* The value of option `name` among "name=value" arguments, or NULL. */
static const char *option(int argc, char **argv, const char *name) {
    size_t length = strlen(name);

    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
            return argv[i] + length + 1;
    return NULL;
}

static uint64_t number_option(int argc, char **argv, const char *name) {
    const char *value = option(argc, argv, name);

    return value == NULL ? 0 : strtoull(value, NULL, 10);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    uint64_t local_ns = number_option(argc, argv, "local_ns");
    uint64_t remote_ns = number_option(argc, argv, "remote_ns");
    const char *report = option(argc, argv, "report");

    (void)info;
    pace.node_bytes = number_option(argc, argv, "node_bytes");
    if (local_ns == 0 || remote_ns == 0 || pace.node_bytes == 0 || report == NULL) {
        fprintf(stderr, "pace: needs local_ns=, remote_ns=, node_bytes= and report=\n");
        return 1;
    }
    pace.report = strdup(report);
    pace.ticks_per_ns = ticks_per_ns();
    pace.owed_ticks_max = (uint64_t)(OWED_NS_MAX * pace.ticks_per_ns);
    pace.late_ticks = (uint64_t)(LATE_NS * pace.ticks_per_ns);
    pace.latency_ticks[0] = (uint64_t)((double)local_ns * pace.ticks_per_ns);
    pace.latency_ticks[1] = (uint64_t)((double)remote_ns * pace.ticks_per_ns);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate_block);
    qemu_plugin_register_atexit_cb(id, write_report, NULL);
    return 0;
}
