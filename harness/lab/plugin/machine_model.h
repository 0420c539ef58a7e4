/*
 * What the plugins know of the machine, apart from QEMU so that it can be tested alone: which node
 * an address or a CPU belongs to, and how slow memory is from where.
 *
 * It comes from a table, one record a line ('#' begins a comment, numbers are decimal or 0x...):
 *   cpu CPU NODE
 *   memory NODE FIRST_ADDRESS BYTES    as QEMU tells addresses to plugins; a node may have several
 *   latency CPU_NODE MEM_NODE NS
 *   bandwidth CPU_NODE MEM_NODE BYTES_PER_SECOND
 * Nodes may have any ids; a node's cpu and memory lines come before what is said of its speed.
 */
#ifndef NUMA_LAB_MACHINE_MODEL_H
#define NUMA_LAB_MACHINE_MODEL_H

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MACHINE_NODES_MAX = 64,
    MACHINE_CPUS_MAX = 256,
    MACHINE_RANGES_MAX = 256,
    MACHINE_WHY_BYTES = 500,
};

#define MACHINE_NODE_ID_MAX          1023
#define MACHINE_NS_MAX               UINT64_C(1000000000)
#define MACHINE_BYTES_PER_SECOND_MAX UINT64_C(1000000000000000)

struct machine_range {
    uint64_t first, last;
    int node;
};

/* Nodes are known by their place in `node_id`, in the order in which the table names them. */
struct machine {
    int nodes;
    unsigned cpus; /* highest number plus 1 */
    unsigned ranges;
    unsigned node_id[MACHINE_NODES_MAX];
    int cpu_node[MACHINE_CPUS_MAX]; /* -1: no such CPU */
    bool has_cpus[MACHINE_NODES_MAX], has_memory[MACHINE_NODES_MAX];
    struct machine_range range[MACHINE_RANGES_MAX]; /* in the order of addresses, none overlap */
    /* By the CPU's node and the memory's; 0 where the table does not say. */
    uint64_t latency_ns[MACHINE_NODES_MAX][MACHINE_NODES_MAX];
    uint64_t bytes_per_second[MACHINE_NODES_MAX][MACHINE_NODES_MAX];
};

/* Both x86-64 and arm64 give the upper half of the address space to the kernel. */
static inline bool is_kernel_address(uint64_t address) {
    return address >> 63 != 0;
}

/* The node of a physical address, or -1: the firmware, a device. */
static inline int machine_node_of(const struct machine *machine, uint64_t address) {
    unsigned low = 0, high = machine->ranges;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct machine_range *range = &machine->range[middle];

        if (address < range->first)
            high = middle;
        else if (address > range->last)
            low = middle + 1;
        else
            return range->node;
    }
    return -1;
}

/* Says why in `why`, of MACHINE_WHY_BYTES; false, for the caller to return. */
__attribute__((format(printf, 2, 3))) static inline bool machine_refuse(char *why,
                                                                        const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, MACHINE_WHY_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

/* The place of node `id`, or -1. */
static inline int machine_find_node(const struct machine *machine, uint64_t id) {
    for (int node = 0; node < machine->nodes; node++)
        if (machine->node_id[node] == id)
            return node;
    return -1;
}

static inline int machine_find_or_add_node(struct machine *machine, uint64_t id, char *why) {
    int node = machine_find_node(machine, id);

    if (node >= 0)
        return node;
    if (id > MACHINE_NODE_ID_MAX) {
        machine_refuse(why, "node %" PRIu64 ": accepted are 0 to %d", id, MACHINE_NODE_ID_MAX);
        return -1;
    }
    if (machine->nodes == MACHINE_NODES_MAX) {
        machine_refuse(why, "node %" PRIu64 ": accepted are at most %d nodes", id,
                       MACHINE_NODES_MAX);
        return -1;
    }
    machine->node_id[machine->nodes] = (unsigned)id;
    return machine->nodes++;
}

static inline bool machine_add_cpu(struct machine *machine, const uint64_t values[], char *why) {
    uint64_t cpu = values[0];
    int node;

    if (cpu >= MACHINE_CPUS_MAX)
        return machine_refuse(why, "CPU %" PRIu64 ": accepted are 0 to %d", cpu,
                              MACHINE_CPUS_MAX - 1);
    if (machine->cpu_node[cpu] >= 0)
        return machine_refuse(why, "CPU %" PRIu64 " a second time: accepted is one line a CPU",
                              cpu);
    if ((node = machine_find_or_add_node(machine, values[1], why)) < 0)
        return false;
    machine->cpu_node[cpu] = node;
    machine->has_cpus[node] = true;
    if (machine->cpus <= cpu)
        machine->cpus = (unsigned)cpu + 1;
    return true;
}

static inline bool machine_add_memory(struct machine *machine, const uint64_t values[], char *why) {
    struct machine_range added = {.first = values[1], .last = values[1] + values[2] - 1};
    unsigned place = machine->ranges;

    if (values[2] == 0 || added.last < added.first)
        return machine_refuse(why,
                              "memory of 0x%" PRIx64 " bytes from 0x%" PRIx64
                              ": accepted are 1 byte to as many as end below 2^64",
                              values[2], values[1]);
    if (machine->ranges == MACHINE_RANGES_MAX)
        return machine_refuse(why, "accepted are at most %d ranges of memory", MACHINE_RANGES_MAX);
    if ((added.node = machine_find_or_add_node(machine, values[0], why)) < 0)
        return false;
    for (; place > 0 && machine->range[place - 1].first > added.last; place--)
        ;
    if (place > 0 && machine->range[place - 1].last >= added.first)
        return machine_refuse(
            why, "memory of nodes %u and %u overlaps at 0x%" PRIx64 ": accepted are ranges apart",
            machine->node_id[machine->range[place - 1].node], machine->node_id[added.node],
            added.first > machine->range[place - 1].first ? added.first
                                                          : machine->range[place - 1].first);
    memmove(&machine->range[place + 1], &machine->range[place],
            (machine->ranges - place) * sizeof added);
    machine->range[place] = added;
    machine->ranges++;
    machine->has_memory[added.node] = true;
    return true;
}

/* Sets one cell of a matrix from CPU node, memory node and value. */
static inline bool machine_set_cell(const struct machine *machine,
                                    uint64_t cells[][MACHINE_NODES_MAX], const uint64_t values[],
                                    uint64_t max, const char *unit, char *why) {
    int cpu_node = machine_find_node(machine, values[0]);
    int mem_node = machine_find_node(machine, values[1]);

    if (cpu_node < 0 || !machine->has_cpus[cpu_node])
        return machine_refuse(why, "node %" PRIu64 " has no CPU above: accepted are nodes of CPUs",
                              values[0]);
    if (mem_node < 0 || !machine->has_memory[mem_node])
        return machine_refuse(
            why, "node %" PRIu64 " has no memory above: accepted are nodes with memory", values[1]);
    if (cells[cpu_node][mem_node] != 0)
        return machine_refuse(why,
                              "from node %" PRIu64 " to node %" PRIu64
                              " a second time: accepted is one line a pair",
                              values[0], values[1]);
    if (values[2] == 0 || values[2] > max)
        return machine_refuse(why, "%" PRIu64 " %s: accepted are 1 to %" PRIu64, values[2], unit,
                              max);
    cells[cpu_node][mem_node] = values[2];
    return true;
}

static inline bool machine_add_latency(struct machine *machine, const uint64_t values[],
                                       char *why) {
    return machine_set_cell(machine, machine->latency_ns, values, MACHINE_NS_MAX, "ns", why);
}

static inline bool machine_add_bandwidth(struct machine *machine, const uint64_t values[],
                                         char *why) {
    return machine_set_cell(machine, machine->bytes_per_second, values,
                            MACHINE_BYTES_PER_SECOND_MAX, "bytes per second", why);
}

static const struct machine_record {
    const char *name, *values;
    int value_count;
    bool (*add)(struct machine *machine, const uint64_t values[], char *why);
} machine_records[] = {
    {"cpu", "CPU NODE", 2, machine_add_cpu},
    {"memory", "NODE FIRST_ADDRESS BYTES", 3, machine_add_memory},
    {"latency", "CPU_NODE MEM_NODE NS", 3, machine_add_latency},
    {"bandwidth", "CPU_NODE MEM_NODE BYTES_PER_SECOND", 3, machine_add_bandwidth},
};

enum { MACHINE_RECORDS = sizeof machine_records / sizeof machine_records[0] };

/* A whole word that is a number, decimal or 0x...; stricter than strtoull. */
static inline bool machine_number(const char *word, uint64_t *number) {
    bool hex = word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
    const char *digits = hex ? word + 2 : word;
    char *end;

    if (*digits == '\0' ||
        strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789") != strlen(digits))
        return false;
    errno = 0;
    *number = strtoull(digits, &end, hex ? 16 : 10);
    return errno == 0 && *end == '\0';
}

/* Reads a line, which it cuts into words. */
static inline bool machine_read_line(struct machine *machine, char *line, char *why) {
    static const char blanks[] = " \t\r\n";
    uint64_t values[3];
    char *rest = NULL, *word;
    int read = 0;

    line[strcspn(line, "#")] = '\0';
    if ((word = strtok_r(line, blanks, &rest)) == NULL)
        return true;
    for (int i = 0; i < MACHINE_RECORDS; i++) {
        const struct machine_record *record = &machine_records[i];

        if (strcmp(word, record->name) != 0)
            continue;
        while ((word = strtok_r(NULL, blanks, &rest)) != NULL && read < record->value_count &&
               machine_number(word, &values[read]))
            read++;
        if (word != NULL || read < record->value_count)
            return machine_refuse(why, "%s%.50s%s: accepted is '%s %s', in whole numbers",
                                  word != NULL ? "'" : "", word != NULL ? word : "too few values",
                                  word != NULL ? "'" : "", record->name, record->values);
        return record->add(machine, values, why);
    }
    return machine_refuse(why, "'%.50s': accepted are cpu, memory, latency and bandwidth", word);
}

/* Reads a table from `stream`, which errors call `name`. False when it does not describe a machine;
 * `why`, of MACHINE_WHY_BYTES, says why then. */
static inline bool machine_read(struct machine *machine, FILE *stream, const char *name,
                                char *why) {
    char reason[MACHINE_WHY_BYTES], line[300];
    unsigned number = 0;

    memset(machine, 0, sizeof *machine);
    for (int cpu = 0; cpu < MACHINE_CPUS_MAX; cpu++)
        machine->cpu_node[cpu] = -1;
    while (fgets(line, sizeof line, stream) != NULL) {
        number++;
        if (strlen(line) == sizeof line - 1 && line[sizeof line - 2] != '\n')
            return machine_refuse(why, "%.200s:%u: accepted are lines of up to %zu characters",
                                  name, number, sizeof line - 2);
        if (!machine_read_line(machine, line, reason))
            return machine_refuse(why, "%.200s:%u: %.250s", name, number, reason);
    }
    if (ferror(stream))
        return machine_refuse(why, "%.200s: %s", name, strerror(errno));
    if (machine->cpus == 0 || machine->ranges == 0)
        return machine_refuse(
            why, "%.200s:%u: no %s line: accepted is a machine with at least one CPU and memory",
            name, number, machine->cpus == 0 ? "cpu" : "memory");
    return true;
}

/* Whether the table says how slow every memory is from every CPU; else `why` names what lacks. */
static inline bool machine_speeds_known(const struct machine *machine, const char *name,
                                        char *why) {
    for (int cpu_node = 0; cpu_node < machine->nodes; cpu_node++)
        for (int mem_node = 0; mem_node < machine->nodes; mem_node++) {
            bool latency = machine->latency_ns[cpu_node][mem_node] != 0;

            if (machine->has_cpus[cpu_node] && machine->has_memory[mem_node] &&
                (!latency || machine->bytes_per_second[cpu_node][mem_node] == 0))
                return machine_refuse(
                    why,
                    "%.200s: no %s from node %u to node %u: accepted is a table with both "
                    "latency and bandwidth of every pair",
                    name, latency ? "bandwidth" : "latency", machine->node_id[cpu_node],
                    machine->node_id[mem_node]);
        }
    return true;
}

#endif
