/*
 * QEMU plugin: lets each cache line that a guest program fetches from memory take a fixed time, one
 * from the CPU's own node and another from other nodes. Options (all needed): local_ns, remote_ns
 * (at least the emulator's own cost, about 400 ns), the machine's (machine_read), report (a file
 * that gets the number of lines fetched by each CPU from each node when the machine ends).
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

#include "machine_model.h"
#include "pace_model.h"
#include "qemu_plugin.h"

/* Lateness from which it pays to ask the host for the reason, which takes about 5 us. */
enum { LATE_NS = 50000 };

/* Most that a CPU is owed: a few of the host's time slices. More would come from before a
 * measurement. */
enum { OWED_NS_MAX = 10000000 };

/* Written by one CPU's thread alone, so each on lines of its own. */
struct cpu {
    struct line_cache cache;
    uint64_t end_ticks;  /* of the previous paced access */
    uint64_t owed_ticks; /* taken away by the host and not yet made up for */
    uint64_t taken_ns;   /* by the host since this CPU's thread began, when last asked */
    uint64_t fetched[MACHINE_NODES_MAX];
} __attribute__((aligned(128)));

static struct {
    struct machine machine;
    struct cpu cpus[MACHINE_CPUS_MAX];
    uint64_t latency_ticks[2]; /* local, remote */
    uint64_t late_ticks;
    uint64_t owed_ticks_max;
    double ticks_per_ns;
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
    struct cpu *cpu = &pace.cpus[cpu_id % MACHINE_CPUS_MAX];
    struct qemu_plugin_hwaddr *hardware_address;
    uint64_t latency, now;
    int node;

    (void)data;
    if (is_kernel_address(address)) {
        if (!pace.kernel_runs)
            pace.kernel_runs = true;
        return;
    }
    if (!pace.kernel_runs ||
        line_cache_touch(&cpu->cache, address, (struct line_version){0}) == TOUCH_HIT)
        return;
    hardware_address = qemu_plugin_get_hwaddr(info, address);
    if (hardware_address == NULL || qemu_plugin_hwaddr_is_io(hardware_address))
        return;
    node = machine_node_of(&pace.machine, qemu_plugin_hwaddr_phys_addr(hardware_address));
    if (node < 0)
        return;
    cpu->fetched[node]++;
    latency = pace.latency_ticks[node != pace.machine.cpu_node[cpu_id % MACHINE_CPUS_MAX]];
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
    for (unsigned i = 0; i < pace.machine.cpus; i++) {
        fprintf(file, "cpu %u: lines fetched", i);
        for (unsigned node = 0; node < pace.machine.nodes; node++)
            fprintf(file, "%s from node %u: %" PRIu64, node == 0 ? "" : ",", node,
                    pace.cpus[i].fetched[node]);
        fprintf(file, "\n");
    }
    fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    uint64_t local_ns = number_option(argc, argv, "local_ns");
    uint64_t remote_ns = number_option(argc, argv, "remote_ns");
    const char *report = option(argc, argv, "report");

    (void)info;
    if (local_ns == 0 || remote_ns == 0 || report == NULL ||
        !machine_read(&pace.machine, number_option(argc, argv, "node_bytes"),
                      number_option(argc, argv, "nodes"), option(argc, argv, "cpu_nodes"),
                      PLUGIN_VERSION < 2)) {
        fprintf(stderr, "pace: needs local_ns=, remote_ns=, nodes=, node_bytes=, cpu_nodes= and "
                        "report=\n");
        return 1;
    }
    for (unsigned i = 0; i < pace.machine.cpus; i++)
        if (!line_cache_make(&pace.cpus[i].cache, PACE_CACHE_BYTES)) {
            fprintf(stderr, "pace: no memory\n");
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
