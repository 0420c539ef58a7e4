/*
 * QEMU plugin: lets each cache line that a guest program fetches from memory take the time that the
 * machine's table says, by its CPU's node and its memory's. What is modelled and what is not:
 * pace_model.h. A table asks too much where a line takes less than the emulator itself, which is
 * about 250 ns for a random load and 130 ns for a line of a stream. Rates hold with more CPUs than
 * the host has processors; but CPUs that share one take turns of milliseconds at times, and so
 * latency under load comes out too low, unless each CPU that runs has a processor of its own.
 *
 * Options: plugin_options in qemu_plugin.h. The report says how many lines each CPU fetched from
 * each node, by demand and in streams, how many of them came later than modelled, because the
 * guest computed for longer or emulator or host were too slow, and for how long the CPU has had to
 * wait for a processor of the host.
 */
#include "host_time.h"
#include "pace_model.h"
#include "qemu_plugin.h"
#include "stream_detector.h"

enum {
    LATE_NS = 50000,        /* from when on it pays to ask the host for the reason */
    OWED_NS_MAX = 50000000, /* a few of a busy host's time slices */
    PAUSE_NS = 1000000,
    YIELD_NS = 600, /* about what it takes a host to change to another thread and back */
};

struct fetched {
    uint64_t demand_lines, stream_lines, late_lines;
};

/* Written by one CPU's thread alone, so each on lines of its own. */
struct cpu {
    struct line_cache cache;
    struct stream_detector detector;
    struct timeline timeline;
    uint64_t taken_ns;       /* by the host since this CPU's thread began, when last asked */
    struct link *links;      /* its node's, by memory node; NULL: no such CPU */
    struct fetched *fetched; /* by memory node */
} __attribute__((aligned(128)));

static struct {
    struct machine machine;
    struct cpu cpus[MACHINE_CPUS_MAX];
    uint64_t late_ticks, yield_ticks;
    struct owing owing;
    double ticks_per_ns;
    FILE *report;
} pace;

/* What the host took from the CPU since this was last asked. */
static uint64_t taken_ticks(struct cpu *cpu) {
    uint64_t before_ns = cpu->taken_ns;

    cpu->taken_ns = host_taken_ns();
    return before_ns == 0 ? 0 : (uint64_t)((double)(cpu->taken_ns - before_ns) * pace.ticks_per_ns);
}

static void fetch_line(struct cpu *cpu, uint64_t line, int node) {
    struct timeline *timeline = &cpu->timeline;
    struct fetched *fetched = &cpu->fetched[node];
    bool foreseen = stream_detect(&cpu->detector, line);
    uint64_t now = host_ticks();
    struct fetch fetch;

    if (now > timeline->end + timeline->owed + pace.late_ticks)
        timeline_owe(timeline, now, taken_ticks(cpu), &pace.owing);
    fetch = foreseen ? stream_fetch(timeline, &cpu->links[node])
                     : demand_fetch(timeline, &cpu->links[node]);
    fetched->demand_lines += !foreseen;
    fetched->stream_lines += foreseen;
    fetched->late_lines += fetch_is_late(timeline, fetch, now);
    timeline_go_on(timeline, fetch, now);
    host_wait(timeline->end, pace.yield_ticks);
}

/* The cache is one of virtual addresses, because to ask for the physical one costs more than all
 * the rest: programs that share a CPU take each other's lines for their own where they use the same
 * addresses. */
static void access_memory(unsigned cpu_id, qemu_plugin_meminfo_t info, uint64_t address,
                          void *data) {
    struct cpu *cpu = &pace.cpus[cpu_id % MACHINE_CPUS_MAX];
    struct qemu_plugin_hwaddr *hardware_address;
    int node;

    (void)data;
    if (cpu->links == NULL ||
        line_cache_touch(&cpu->cache, address, (struct line_version){0}) == TOUCH_HIT)
        return;
    hardware_address = qemu_plugin_get_hwaddr(info, address);
    if (hardware_address == NULL || qemu_plugin_hwaddr_is_io(hardware_address))
        return;
    node = machine_node_of(&pace.machine, qemu_plugin_hwaddr_phys_addr(hardware_address));
    if (node >= 0)
        fetch_line(cpu, address >> LINE_SHIFT, node);
}

static void translate_block(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    watch_programs(block, access_memory);
}

static void write_report(qemu_plugin_id_t id, void *data) {
    const struct machine *machine = &pace.machine;

    (void)id;
    (void)data;
    fprintf(pace.report,
            "cpu,cpu_node,mem_node,demand_lines,stream_lines,late_lines,cpu_taken_ms\n");
    for (unsigned i = 0; i < machine->cpus; i++)
        for (int node = 0; pace.cpus[i].links != NULL && node < machine->nodes; node++) {
            const struct fetched *fetched = &pace.cpus[i].fetched[node];

            if (machine->has_memory[node])
                fprintf(pace.report, "%u,%u,%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n",
                        i, machine->node_id[machine->cpu_node[i]], machine->node_id[node],
                        fetched->demand_lines, fetched->stream_lines, fetched->late_lines,
                        pace.cpus[i].taken_ns / 1000000);
        }
    fclose(pace.report);
}

/* A node's CPUs share their links, one to each node's memory. NULL without memory. */
static struct link *make_links(int cpu_node) {
    struct link *links = aligned_alloc(_Alignof(struct link), MACHINE_NODES_MAX * sizeof *links);

    if (links == NULL)
        return NULL;
    memset(links, 0, MACHINE_NODES_MAX * sizeof *links);
    for (int node = 0; node < pace.machine.nodes; node++) {
        if (!pace.machine.has_memory[node])
            continue;
        links[node].latency =
            (uint64_t)((double)pace.machine.latency_ns[cpu_node][node] * pace.ticks_per_ns);
        links[node].line_time =
            (uint64_t)(LINE_BYTES * 1e9 / (double)pace.machine.bytes_per_second[cpu_node][node] *
                       pace.ticks_per_ns);
    }
    return links;
}

static bool make_cpus(uint64_t cache_bytes) {
    struct link *links[MACHINE_NODES_MAX] = {0};

    for (unsigned i = 0; i < pace.machine.cpus; i++) {
        struct cpu *cpu = &pace.cpus[i];
        int node = pace.machine.cpu_node[i];

        if (node < 0)
            continue;
        if (links[node] == NULL && (links[node] = make_links(node)) == NULL)
            return false;
        cpu->fetched = calloc((size_t)pace.machine.nodes, sizeof *cpu->fetched);
        if (cpu->fetched == NULL || !line_cache_make(&cpu->cache, cache_bytes))
            return false;
        cpu->links = links[node];
    }
    return true;
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    struct plugin_options options;
    char why[MACHINE_WHY_BYTES];

    (void)info;
    if (!plugin_start("pace", argc, argv, &options, &pace.machine))
        return 1;
    if (!machine_speeds_known(&pace.machine, options.machine, why)) {
        fprintf(stderr, "pace: %s\n", why);
        return 1;
    }
    pace.report = options.report;
    pace.ticks_per_ns = host_ticks_per_ns();
    pace.yield_ticks = (uint64_t)(YIELD_NS * pace.ticks_per_ns);
    pace.owing.most = (uint64_t)(OWED_NS_MAX * pace.ticks_per_ns);
    pace.owing.pause = (uint64_t)(PAUSE_NS * pace.ticks_per_ns);
    pace.late_ticks = (uint64_t)(LATE_NS * pace.ticks_per_ns);
    if (!make_cpus(options.cache_bytes)) {
        fprintf(stderr, "pace: no memory for %u CPUs\n", pace.machine.cpus);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate_block);
    qemu_plugin_register_atexit_cb(id, write_report, NULL);
    return 0;
}
