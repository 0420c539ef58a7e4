/* How much memory the process may yet take before the kernel kills for want of it: the machine's,
 * and its control groups' (cgroup v2, as mounted by systemd and in containers). An eighth of each
 * is never counted, for what others take meanwhile. */
#pragma once

#include "topology.c"

#define MEMORY_SHARE_KEPT 8

/* The number after a name in a file's text; 0 when it is not there. */
static uint64_t number_after(const char *text, const char *name) {
    const char *at = strstr(text, name);
    uint64_t number;
    if (at == NULL)
        return 0;
    at += strlen(name);
    while (*at == ' ')
        at++;
    return parse_unsigned(&at, UINT64_MAX / KIB, &number) ? number : 0;
}

static uint64_t left_of(uint64_t limit_bytes, uint64_t used_bytes) {
    uint64_t usable_bytes = limit_bytes - limit_bytes / MEMORY_SHARE_KEPT;
    return used_bytes < usable_bytes ? usable_bytes - used_bytes : 0;
}

/* Room for any of the files read here: one for all, since threads may have small stacks. */
#define MEMORY_FILE_MAX 4096

/* Of the machine; UINT64_MAX when it cannot be read. `text` is room for a file. */
static uint64_t machine_left_bytes(const char *proc_root, char text[MEMORY_FILE_MAX]) {
    if (read_below(proc_root, "meminfo", text, MEMORY_FILE_MAX) < 0)
        return UINT64_MAX;
    uint64_t total_bytes = number_after(text, "MemTotal:") * KIB;
    uint64_t available_bytes = number_after(text, "MemAvailable:") * KIB;
    return available_bytes < total_bytes ? left_of(total_bytes, total_bytes - available_bytes) : 0;
}

/* Of one control group; UINT64_MAX without a limit. File pages that were not used of late are as
 * good as free. */
static uint64_t group_left_bytes(const char *folder, char text[MEMORY_FILE_MAX]) {
    const char *cursor = text;
    uint64_t limit_bytes, used_bytes = 0, cached_bytes = 0;
    if (read_below(folder, "memory.max", text, MEMORY_FILE_MAX) < 0 ||
        !parse_unsigned(&cursor, UINT64_MAX, &limit_bytes)) /* "max" */
        return UINT64_MAX;
    if (read_below(folder, "memory.current", text, MEMORY_FILE_MAX) >= 0)
        used_bytes = number_after(text, "");
    if (read_below(folder, "memory.stat", text, MEMORY_FILE_MAX) >= 0)
        cached_bytes = number_after(text, "\ninactive_file");
    return left_of(limit_bytes, used_bytes > cached_bytes ? used_bytes - cached_bytes : 0);
}

/* Of the process's control group and all that it is in. */
static uint64_t groups_left_bytes(const char *proc_root, const char *groups_root,
                                  char text[MEMORY_FILE_MAX]) {
    static const char prefix[] = "0::";
    char path_chars[512];
    struct text path = {path_chars, 0, sizeof path_chars - 1};
    uint64_t left_bytes = UINT64_MAX;
    size_t root_length = strlen(groups_root);
    if (read_below(proc_root, "self/cgroup", text, MEMORY_FILE_MAX) < 0)
        return left_bytes;
    const char *line = text;
    while (strncmp(line, prefix, sizeof prefix - 1) != 0) {
        line = strchr(line, '\n');
        if (line == NULL)
            return left_bytes;
        line++;
    }
    line += sizeof prefix - 1;
    text_add(&path, groups_root);
    text_add_chars(&path, line, strcspn(line, "\n"));
    while (path.length >= root_length) {
        path_chars[path.length] = '\0';
        uint64_t of_group = group_left_bytes(path_chars, text);
        if (of_group < left_bytes)
            left_bytes = of_group;
        do
            path.length--; /* up to the next folder's end */
        while (path.length >= root_length && path_chars[path.length] != '/');
    }
    return left_bytes;
}

#define PROC_ROOT   "/proc"
#define GROUPS_ROOT "/sys/fs/cgroup"

/* The least of all these, in bytes; UINT64_MAX when nothing can be read under the two folders. */
static uint64_t memory_left_bytes(const char *proc_root, const char *groups_root) {
    char text[MEMORY_FILE_MAX];
    uint64_t of_machine = machine_left_bytes(proc_root, text);
    uint64_t of_groups = groups_left_bytes(proc_root, groups_root, text);
    return of_machine < of_groups ? of_machine : of_groups;
}
