/* Which memory nodes there are, from sysfs and the process's cpuset. Ids have gaps and go up to
 * 1,023; a node may lack memory or CPUs. Nothing is counted up: sets of ids all the way. */
#pragma once

#include "text.c"

struct node_set {
    uint64_t words[NODE_IDS_MAX / 64];
};

struct topology {
    struct node_set online;
    struct node_set has_memory; /* and may be used: inside the process's cpuset */
    struct node_set has_cpu;
    struct node_set forbidden; /* has memory, but outside the cpuset */
    bool sysfs_read; /* false: /sys is masked and has_memory comes from the cpuset alone */
    const char *sysfs_root;
};

#define SYSFS_NODE_ROOT "/sys/devices/system/node"

static bool node_set_has(const struct node_set *set, unsigned node) {
    return node < NODE_IDS_MAX && (set->words[node / 64] >> (node % 64) & 1) != 0;
}

static void node_set_add(struct node_set *set, unsigned node) {
    if (node < NODE_IDS_MAX)
        set->words[node / 64] |= (uint64_t)1 << (node % 64);
}

/* The lowest id in the set that is at least `from`, or -1. */
static int node_set_next(const struct node_set *set, unsigned from) {
    for (unsigned node = from; node < NODE_IDS_MAX; node++) {
        uint64_t rest = set->words[node / 64] >> (node % 64);
        if (rest != 0)
            return (int)(node + (unsigned)__builtin_ctzl(rest));
        node |= 63;
    }
    return -1;
}

static bool node_set_empty(const struct node_set *set) {
    return node_set_next(set, 0) < 0;
}

static unsigned node_set_count(const struct node_set *set) {
    unsigned count = 0;
    for (size_t i = 0; i < NODE_IDS_MAX / 64; i++)
        count += (unsigned)__builtin_popcountl(set->words[i]);
    return count;
}

/* Reads the kernel's list format, "0,2-3,8", into a mask of `bits` bits, a multiple of 64; blank is
 * the empty list. False when it is not that, or names an id that the mask has no bit for. */
static bool list_parse(const char *list, unsigned long *mask, size_t bits) {
    memset(mask, 0, bits / 8);
    while (*list == ' ' || *list == '\t')
        list++;
    if (*list == '\n' || *list == '\0')
        return true;
    for (;;) {
        uint64_t first, last;
        if (!parse_unsigned(&list, bits - 1, &first))
            return false;
        last = first;
        if (*list == '-') {
            list++;
            if (!parse_unsigned(&list, bits - 1, &last) || last < first)
                return false;
        }
        for (uint64_t id = first; id <= last; id++)
            mask[id / 64] |= 1UL << (id % 64);
        if (*list != ',')
            return *list == '\n' || *list == '\0';
        list++;
    }
}

/* list_parse's contract. */
static bool node_set_parse(const char *list, struct node_set *set) {
    return list_parse(list, set->words, NODE_IDS_MAX);
}

/* The set in list format, shortened to ranges. */
static void node_set_format(const struct node_set *set, struct text *text) {
    const char *separator = "";
    for (int node = node_set_next(set, 0); node >= 0;) {
        unsigned last = (unsigned)node;
        while (node_set_has(set, last + 1))
            last++;
        text_add(text, separator);
        text_add_unsigned(text, (unsigned)node);
        if (last > (unsigned)node) {
            text_add(text, "-");
            text_add_unsigned(text, last);
        }
        separator = ",";
        node = node_set_next(set, last + 1);
    }
}

/* Reads ROOT/FILE. sys_read_file's contract, but a file that does not fit is an error: half a list
 * is another list. */
static long read_below(const char *root, const char *file, char *text, size_t capacity) {
    char path_chars[512];
    struct text path = {path_chars, 0, sizeof path_chars - 1};
    text_add(&path, root);
    text_add(&path, "/");
    text_add(&path, file);
    if (path.length == path.capacity)
        return -ENAMETOOLONG;
    path_chars[path.length] = '\0';
    long length = sys_read_file(path_chars, text, capacity);
    return length == (long)capacity - 1 ? -EFBIG : length;
}

/* Reads ROOT/nodeN followed by `file`, which starts with a slash or is empty. */
static long read_of_node(const char *root, unsigned node, const char *file, char *text,
                         size_t capacity) {
    char name_chars[64];
    struct text name = {name_chars, 0, sizeof name_chars - 1};
    text_add(&name, "node");
    text_add_unsigned(&name, node);
    text_add(&name, file);
    name_chars[name.length] = '\0';
    return read_below(root, name_chars, text, capacity);
}

static bool topology_read_set(const struct topology *topology, const char *file,
                              struct node_set *set) {
    char list[4096];
    return read_below(topology->sysfs_root, file, list, sizeof list) >= 0 &&
           node_set_parse(list, set);
}

/* The process's allowed nodes: from the kernel, else (a container may refuse) from /proc. */
static bool topology_read_allowed(struct node_set *allowed) {
    memset(allowed, 0, sizeof *allowed);
    if (sys_allowed_nodes(allowed->words, NODE_IDS_MAX) == 0)
        return true;
    char status[8192];
    if (sys_read_file("/proc/self/status", status, sizeof status) < 0)
        return false;
    const char *line = strstr(status, "Mems_allowed_list:");
    return line != NULL && node_set_parse(line + strlen("Mems_allowed_list:"), allowed);
}

/* Reads the machine under `sysfs_root` as seen by a process that may use `allowed` (NULL: ask the
 * kernel). When sysfs cannot be read, the allowed nodes are taken to have memory, else node 0. */
static void topology_read(struct topology *topology, const char *sysfs_root,
                          const struct node_set *allowed) {
    struct node_set asked;
    bool allowed_known = true;
    memset(topology, 0, sizeof *topology);
    topology->sysfs_root = sysfs_root;
    if (allowed == NULL) {
        allowed_known = topology_read_allowed(&asked) && !node_set_empty(&asked);
        allowed = &asked;
    }
    topology->sysfs_read = topology_read_set(topology, "online", &topology->online);
    if (!topology_read_set(topology, "has_memory", &topology->has_memory))
        topology->has_memory = topology->online; /* before Linux 3.8 */
    (void)topology_read_set(topology, "has_cpu", &topology->has_cpu);
    if (!topology->sysfs_read) {
        if (allowed_known)
            topology->online = *allowed;
        else
            node_set_add(&topology->online, 0);
        topology->has_memory = topology->online;
    }
    if (allowed_known)
        for (size_t i = 0; i < NODE_IDS_MAX / 64; i++) {
            topology->forbidden.words[i] = topology->has_memory.words[i] & ~allowed->words[i];
            topology->has_memory.words[i] &= allowed->words[i];
        }
}

/* The usable memory node nearest to `node` by the firmware's distances, `node` itself if it has
 * memory; the lowest usable one when the distances cannot be read. */
static int topology_nearest_memory(const struct topology *topology, unsigned node) {
    int nearest = node_set_next(&topology->has_memory, 0);
    if (node_set_has(&topology->has_memory, node))
        return (int)node;
    char distances[8192];
    if (read_of_node(topology->sysfs_root, node, "/distance", distances, sizeof distances) < 0)
        return nearest;
    /* One number for each online node, in order of their ids. */
    const char *cursor = distances;
    uint64_t best = UINT64_MAX, distance;
    for (int other = node_set_next(&topology->online, 0);
         other >= 0 && parse_unsigned(&cursor, UINT32_MAX, &distance);
         other = node_set_next(&topology->online, (unsigned)other + 1)) {
        while (*cursor == ' ')
            cursor++;
        if (distance < best && node_set_has(&topology->has_memory, (unsigned)other)) {
            best = distance;
            nearest = other;
        }
    }
    return nearest;
}

/* Linux's own limit on CPUs. */
#define CPU_IDS_MAX 8192

/* The CPUs of `node`, as a mask of `mask_bits` bits: a multiple of 64, CPU_IDS_MAX for any machine.
 * False when they cannot be read, do not fit, or there are none. */
static inline bool topology_read_node_cpus(const struct topology *topology, unsigned node,
                                           unsigned long *cpu_mask, size_t mask_bits) {
    char list[2048]; /* of ranges; on the stack of whoever allocates */
    if (read_of_node(topology->sysfs_root, node, "/cpulist", list, sizeof list) < 0 ||
        !list_parse(list, cpu_mask, mask_bits))
        return false;
    for (size_t i = 0; i < mask_bits / 64; i++)
        if (cpu_mask[i] != 0)
            return true;
    return false;
}

/* How much of `node` is free now, page cache that the kernel could drop not counted. False when it
 * cannot be read. */
static inline bool topology_read_node_free(const struct topology *topology, unsigned node,
                                           uint64_t *free_bytes) {
    static const char field[] = " MemFree:";
    char info[512]; /* it is in the second line; on the stack of whoever allocates */
    long length = read_of_node(topology->sysfs_root, node, "/meminfo", info, sizeof info);
    if (length < 0 && length != -EFBIG)
        return false;
    const char *cursor = strstr(info, field);
    if (cursor == NULL)
        return false;
    for (cursor += sizeof field - 1; *cursor == ' ';)
        cursor++;
    uint64_t free_kib;
    if (!parse_unsigned(&cursor, UINT64_MAX / KIB, &free_kib) || strncmp(cursor, " kB", 3) != 0)
        return false;
    *free_bytes = free_kib * KIB;
    return true;
}

#define SYSFS_WEIGHTS_ROOT "/sys/kernel/mm/mempolicy/weighted_interleave"

/* Whether the kernel's own weighted interleave (Linux 6.9) would now give each of `nodes` its
 * weight: the kernel has one weight a node for the whole system. False also when it has none. */
static inline bool topology_kernel_weights_match(const char *weights_root,
                                                 const struct node_set *nodes,
                                                 const uint8_t weights[NODE_IDS_MAX]) {
    for (int node = node_set_next(nodes, 0); node >= 0;
         node = node_set_next(nodes, (unsigned)node + 1)) {
        char text[32];
        const char *cursor = text;
        uint64_t weight;
        if (read_of_node(weights_root, (unsigned)node, "", text, sizeof text) < 0 ||
            !parse_unsigned(&cursor, UINT8_MAX, &weight) || *cursor != '\n' ||
            weight != weights[node])
            return false;
    }
    return true;
}
