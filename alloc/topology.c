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

/* Reads the kernel's list format, "0,2-3,8"; blank is the empty set. False when it is not that. */
static bool node_set_parse(const char *list, struct node_set *set) {
    memset(set, 0, sizeof *set);
    while (*list == ' ' || *list == '\t')
        list++;
    if (*list == '\n' || *list == '\0')
        return true;
    for (;;) {
        uint64_t first, last;
        if (!parse_unsigned(&list, NODE_IDS_MAX - 1, &first))
            return false;
        last = first;
        if (*list == '-') {
            list++;
            if (!parse_unsigned(&list, NODE_IDS_MAX - 1, &last) || last < first)
                return false;
        }
        for (uint64_t node = first; node <= last; node++)
            node_set_add(set, (unsigned)node);
        if (*list != ',')
            return *list == '\n' || *list == '\0';
        list++;
    }
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

/* Reads a file below the root; sys_read_file's contract. */
static long topology_read_file(const struct topology *topology, const char *file, char *text,
                               size_t capacity) {
    char path_chars[512];
    struct text path = {path_chars, 0, sizeof path_chars - 1};
    text_add(&path, topology->sysfs_root);
    text_add(&path, "/");
    text_add(&path, file);
    path_chars[path.length] = '\0';
    return sys_read_file(path_chars, text, capacity);
}

static bool topology_read_set(const struct topology *topology, const char *file,
                              struct node_set *set) {
    char list[4096];
    return topology_read_file(topology, file, list, sizeof list) >= 0 && node_set_parse(list, set);
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
    char file_chars[32], distances[8192];
    struct text file = {file_chars, 0, sizeof file_chars - 1};
    text_add(&file, "node");
    text_add_unsigned(&file, node);
    text_add(&file, "/distance");
    file_chars[file.length] = '\0';
    if (topology_read_file(topology, file_chars, distances, sizeof distances) < 0)
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
