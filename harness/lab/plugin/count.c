/*
 * QEMU plugin: counts the cache lines that guest programs fetch from each node's memory. No timing
 * is involved, so a count does not depend on how busy the host is. Options: plugin_options in
 * qemu_plugin.h.
 *
 * Each CPU has a small cache of its own. A line is fetched when it is not there, or when another
 * CPU has written it since. It counts as fetched from the node whose memory it is in, whichever
 * CPU's cache a machine might hand it over from. What the kernel does for a program is not counted,
 * and it leaves the caches as they are.
 *
 * A guest program marks the section that is to be counted: it maps the page at COUNT_MARK_ADDRESS
 * and writes the byte `section` there to begin, and the byte COUNT_MARK_SECTIONS + `section` to end
 * it, for a section number of its choice. All caches are empty when a section begins. A section
 * that comes again is added to. What was counted in a section that was begun and not ended, because
 * its program died, is left out, with a line on stderr: who fetched what since is not known.
 * Without any mark everything is counted, as section -1.
 */
#include "../count_mark.h"
#include "qemu_plugin.h"

/* Enough that 256 MiB of neighbouring lines share none. */
enum { VERSION_ENTRIES = 1 << 22 };

struct counts {
    uint64_t loads;     /* lines fetched to be read */
    uint64_t stores;    /* lines fetched to be written */
    uint64_t transfers; /* of both: because another CPU had written them */
};

/* Written by one CPU's thread alone, so each on lines of its own. */
struct cpu {
    struct line_cache cache;
    unsigned sections_begun; /* when its cache was last emptied */
    struct counts *counts;   /* by memory node; NULL: no such CPU */
} __attribute__((aligned(128)));

/* By CPU and memory node. */
struct section {
    bool open, ended, left_open; /* begun now; ended once; begun once and not ended */
    struct counts *before, *counted;
};

static struct {
    struct machine machine;
    struct cpu cpus[MACHINE_CPUS_MAX];
    struct line_versions versions;
    _Atomic(unsigned) sections_begun;
    struct section sections[COUNT_MARK_SECTIONS];
    FILE *report;
} count;

static size_t nodes(void) {
    return (size_t)count.machine.nodes;
}

static void counts_add_difference(struct counts *sum, const struct counts *now,
                                  const struct counts *before) {
    sum->loads += now->loads - before->loads;
    sum->stores += now->stores - before->stores;
    sum->transfers += now->transfers - before->transfers;
}

static struct counts *counts_make(size_t cpus) {
    struct counts *counts = calloc(cpus * nodes(), sizeof *counts);

    if (counts == NULL)
        abort();
    return counts;
}

/* Guest programs are to mark sections while their threads are quiet: other CPUs' counters are read
 * as they are at the moment. An end without a beginning is none. */
static void mark(uint64_t byte) {
    struct section *section = &count.sections[byte % COUNT_MARK_SECTIONS];
    bool begins = byte < COUNT_MARK_SECTIONS;

    if (!begins && !section->open)
        return;
    if (section->before == NULL) {
        section->before = counts_make(count.machine.cpus);
        section->counted = counts_make(count.machine.cpus);
    }
    for (size_t i = 0; i < count.machine.cpus * nodes(); i++) {
        const struct counts *counts = count.cpus[i / nodes()].counts;

        if (counts == NULL)
            continue;
        if (begins)
            section->before[i] = counts[i % nodes()];
        else
            counts_add_difference(&section->counted[i], &counts[i % nodes()], &section->before[i]);
    }
    if (begins) {
        atomic_fetch_add(&count.sections_begun, 1);
        section->left_open |= section->open;
    } else {
        section->ended = true;
    }
    section->open = begins;
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
    if (cpu->counts == NULL)
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
    if (touch == TOUCH_HIT || (node = machine_node_of(&count.machine, physical_address)) < 0)
        return;
    if (store)
        cpu->counts[node].stores++;
    else
        cpu->counts[node].loads++;
    cpu->counts[node].transfers += touch == TOUCH_STALE;
}

static void translate_block(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    watch_programs(block, access_memory);
}

/* A CPU's rows; `counts` is by memory node. */
static void write_rows(int section, unsigned cpu, const struct counts *counts) {
    const struct machine *machine = &count.machine;

    for (size_t node = 0; machine->cpu_node[cpu] >= 0 && node < nodes(); node++)
        if (machine->has_memory[node])
            fprintf(count.report, "%d,%u,%u,%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", section, cpu,
                    machine->node_id[machine->cpu_node[cpu]], machine->node_id[node],
                    counts[node].loads, counts[node].stores, counts[node].transfers);
}

/* One line, of however many sections. */
static void say_what_is_left_out(void) {
    int first = -1;
    unsigned left_open = 0;

    for (int number = COUNT_MARK_SECTIONS - 1; number >= 0; number--)
        if (count.sections[number].open || count.sections[number].left_open) {
            first = number;
            left_open++;
        }
    if (left_open > 0)
        fprintf(stderr,
                "count: left out what was counted in section %d%s: begun and not ended by its "
                "program\n",
                first, left_open > 1 ? " and others" : "");
}

static void write_report(qemu_plugin_id_t id, void *data) {
    (void)id;
    (void)data;
    fprintf(count.report, "section,cpu,cpu_node,mem_node,loads,stores,transfers\n");
    for (int number = 0; number < COUNT_MARK_SECTIONS; number++)
        for (unsigned cpu = 0; count.sections[number].ended && cpu < count.machine.cpus; cpu++)
            write_rows(number, cpu, &count.sections[number].counted[cpu * nodes()]);
    for (unsigned cpu = 0; count.sections_begun == 0 && cpu < count.machine.cpus; cpu++)
        write_rows(-1, cpu, count.cpus[cpu].counts);
    fclose(count.report);
    say_what_is_left_out();
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    struct plugin_options options;
    bool made;

    (void)info;
    if (!plugin_start("count", argc, argv, &options, &count.machine))
        return 1;
    count.report = options.report;
    made = line_versions_make(&count.versions, VERSION_ENTRIES);
    for (unsigned cpu = 0; cpu < count.machine.cpus; cpu++)
        if (count.machine.cpu_node[cpu] >= 0) {
            made = line_cache_make(&count.cpus[cpu].cache, options.cache_bytes) && made;
            count.cpus[cpu].counts = counts_make(1);
        }
    if (!made) {
        fprintf(stderr, "count: no memory for %u CPUs\n", count.machine.cpus);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate_block);
    qemu_plugin_register_atexit_cb(id, write_report, NULL);
    return 0;
}
