/*
 * QEMU plugin: counts the cache lines that guest programs fetch from each node's memory. No timing
 * is involved, so a count does not depend on how busy the host is. Options (all needed but the last
 * two): the machine's (machine_read), report (the CSV file written when the machine ends),
 * cache_bytes (of each CPU's cache, default 1 MiB), shared_lines (entries of the table of line
 * versions, default 2^22).
 *
 * Each CPU has a small cache of its own. A line is fetched when it is not there, or when another
 * CPU has written it since. It counts as fetched from the node whose memory it is in, whichever
 * CPU's cache a machine might hand it over from. What the kernel does for a program is not counted,
 * and it leaves the caches as they are.
 *
 * A guest program marks the section that is to be counted: it maps the page at COUNT_MARK_ADDRESS
 * and writes the byte `section` there to begin, and the byte COUNT_MARK_SECTIONS + `section` to end
 * it, for a section number of its choice. All caches are empty when a section begins. A section
 * that comes again is added to. Without any mark everything is counted, as section -1.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../count_mark.h"
#include "machine_model.h"
#include "qemu_plugin.h"

enum { CACHE_BYTES = 1 << 20, VERSION_ENTRIES = 1 << 22 };

struct counts {
    uint64_t loads[MACHINE_NODES_MAX];     /* lines fetched to be read */
    uint64_t stores[MACHINE_NODES_MAX];    /* lines fetched to be written */
    uint64_t transfers[MACHINE_NODES_MAX]; /* of both: because another CPU had written them */
};

/* Written by one CPU's thread alone, so each on lines of its own. */
struct cpu {
    struct line_cache cache;
    unsigned sections_begun; /* when its cache was last emptied */
    struct counts counts;
} __attribute__((aligned(128)));

struct section {
    bool ended;
    struct counts before[MACHINE_CPUS_MAX], counted[MACHINE_CPUS_MAX];
};

static struct {
    struct machine machine;
    struct cpu cpus[MACHINE_CPUS_MAX];
    struct line_versions versions;
    _Atomic(unsigned) sections_begun;
    struct section *sections[COUNT_MARK_SECTIONS];
    const char *report;
    /* Set with the first access to a kernel address and never cleared, so its race is harmless:
     * firmware runs at low addresses too. */
    bool kernel_runs;
} count;

static void counts_add_difference(struct counts *sum, const struct counts *now,
                                  const struct counts *before) {
    for (unsigned node = 0; node < count.machine.nodes; node++) {
        sum->loads[node] += now->loads[node] - before->loads[node];
        sum->stores[node] += now->stores[node] - before->stores[node];
        sum->transfers[node] += now->transfers[node] - before->transfers[node];
    }
}

/* Guest programs are to mark sections while their threads are quiet: other CPUs' counters are read
 * as they are at the moment. */
static void mark(uint64_t byte) {
    struct section **place = &count.sections[byte % COUNT_MARK_SECTIONS];

    if (*place == NULL && (*place = calloc(1, sizeof **place)) == NULL)
        abort();
    for (unsigned i = 0; i < count.machine.cpus; i++)
        if (byte < COUNT_MARK_SECTIONS)
            (*place)->before[i] = count.cpus[i].counts;
        else
            counts_add_difference(&(*place)->counted[i], &count.cpus[i].counts,
                                  &(*place)->before[i]);
    if (byte < COUNT_MARK_SECTIONS)
        atomic_fetch_add(&count.sections_begun, 1);
    else
        (*place)->ended = true;
}

static void access_memory(unsigned cpu_id, qemu_plugin_meminfo_t info, uint64_t address,
                          void *data) {
    struct cpu *cpu = &count.cpus[cpu_id % MACHINE_CPUS_MAX];
    bool store = qemu_plugin_mem_is_store(info);
    struct qemu_plugin_hwaddr *hardware_address;
    uint64_t physical_address;
    unsigned begun;
    enum touch touch;
    int node;

    (void)data;
    if (is_kernel_address(address)) {
        if (!count.kernel_runs)
            count.kernel_runs = true;
        return;
    }
    if (!count.kernel_runs)
        return;
    if (address - COUNT_MARK_ADDRESS < 2 * COUNT_MARK_SECTIONS) {
        if (store)
            mark(address - COUNT_MARK_ADDRESS);
        return;
    }
    begun = atomic_load_explicit(&count.sections_begun, memory_order_relaxed);
    if (cpu->sections_begun != begun) {
        cpu->sections_begun = begun;
        line_cache_empty(&cpu->cache);
    }
    hardware_address = qemu_plugin_get_hwaddr(info, address);
    if (hardware_address == NULL || qemu_plugin_hwaddr_is_io(hardware_address))
        return;
    physical_address = qemu_plugin_hwaddr_phys_addr(hardware_address);
    touch = line_cache_touch(&cpu->cache, physical_address,
                             line_version_access(&count.versions, physical_address, cpu_id, store));
    if (touch == TOUCH_HIT)
        return;
    node = machine_node_of(&count.machine, physical_address);
    if (node < 0)
        return;
    if (store)
        cpu->counts.stores[node]++;
    else
        cpu->counts.loads[node]++;
    cpu->counts.transfers[node] += touch == TOUCH_STALE;
}

static void translate_block(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    size_t instructions = qemu_plugin_tb_n_insns(block);

    (void)id;
    for (size_t i = 0; i < instructions; i++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(block, i), access_memory,
                                         QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
}

static void write_section(FILE *file, int number, unsigned cpu, const struct counts *counts) {
    for (unsigned node = 0; node < count.machine.nodes; node++)
        fprintf(file, "%d,%u,%d,%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", number, cpu,
                count.machine.cpu_node[cpu], node, counts->loads[node], counts->stores[node],
                counts->transfers[node]);
}

static void write_report(qemu_plugin_id_t id, void *data) {
    FILE *file = fopen(count.report, "w");
    bool any = false;

    (void)id;
    (void)data;
    if (file == NULL)
        return;
    fprintf(file, "section,cpu,cpu_node,mem_node,loads,stores,transfers\n");
    for (int number = 0; number < COUNT_MARK_SECTIONS; number++) {
        struct section *section = count.sections[number];

        if (section == NULL || !section->ended)
            continue;
        any = true;
        for (unsigned cpu = 0; cpu < count.machine.cpus; cpu++)
            write_section(file, number, cpu, &section->counted[cpu]);
    }
    for (unsigned cpu = 0; !any && cpu < count.machine.cpus; cpu++)
        write_section(file, -1, cpu, &count.cpus[cpu].counts);
    fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    uint64_t cache_bytes = number_option(argc, argv, "cache_bytes");
    uint64_t entries = number_option(argc, argv, "shared_lines");
    const char *report = option(argc, argv, "report");
    bool made;

    (void)info;
    if (report == NULL || (entries & (entries - 1)) != 0 ||
        !machine_read(&count.machine, number_option(argc, argv, "node_bytes"),
                      number_option(argc, argv, "nodes"), option(argc, argv, "cpu_nodes"),
                      PLUGIN_VERSION < 2)) {
        fprintf(stderr,
                "count: needs nodes=, node_bytes=, cpu_nodes= and report=; shared_lines= is "
                "a power of two\n");
        return 1;
    }
    made = line_versions_make(&count.versions, entries != 0 ? entries : VERSION_ENTRIES);
    for (unsigned i = 0; i < count.machine.cpus; i++)
        made =
            line_cache_make(&count.cpus[i].cache, cache_bytes != 0 ? cache_bytes : CACHE_BYTES) &&
            made;
    if (!made) {
        fprintf(stderr, "count: no memory, or cache_bytes= is below 256\n");
        return 1;
    }
    count.report = strdup(report);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate_block);
    qemu_plugin_register_atexit_cb(id, write_report, NULL);
    return 0;
}
