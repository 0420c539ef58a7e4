/* How much memory the process may yet take before the kernel kills for want of it: the machine's,
 * and its control groups' (cgroup v2, as mounted by systemd and in containers). An eighth of each
 * is never counted, for what others take meanwhile. */
#pragma once

#include "text.c"

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

/* Of the machine; UINT64_MAX when it cannot be read. */
static uint64_t machine_left_bytes(void) {
    char text[4096];
    if (sys_read_file("/proc/meminfo", text, sizeof text) < 0)
        return UINT64_MAX;
    uint64_t total_bytes = number_after(text, "MemTotal:") * KIB;
    uint64_t available_bytes = number_after(text, "MemAvailable:") * KIB;
    return available_bytes < total_bytes ? left_of(total_bytes, total_bytes - available_bytes) : 0;
}

/* Reads a control group's file; empty when it cannot be read. */
static void read_of_group(struct text *folder, const char *file, char *text, size_t capacity) {
    size_t length = folder->length;
    text_add(folder, file);
    folder->start[folder->length] = '\0';
    if (sys_read_file(folder->start, text, capacity) < 0)
        text[0] = '\0';
    folder->length = length;
}

/* Of one control group; UINT64_MAX without a limit. File pages that were not used of late are as
 * good as free. */
static uint64_t group_left_bytes(struct text *folder) {
    char text[4096];
    const char *cursor = text;
    uint64_t limit_bytes;
    read_of_group(folder, "/memory.max", text, sizeof text);
    if (!parse_unsigned(&cursor, UINT64_MAX, &limit_bytes)) /* "max" */
        return UINT64_MAX;
    read_of_group(folder, "/memory.current", text, sizeof text);
    uint64_t used_bytes = number_after(text, "");
    read_of_group(folder, "/memory.stat", text, sizeof text);
    uint64_t cached_bytes = number_after(text, "\ninactive_file");
    return left_of(limit_bytes, used_bytes > cached_bytes ? used_bytes - cached_bytes : 0);
}

/* Of the process's control group and all that it is in. */
static uint64_t groups_left_bytes(void) {
    static const char root[] = "/sys/fs/cgroup", prefix[] = "0::";
    char groups[4096], path_chars[4096 + 64];
    struct text path = {path_chars, 0, sizeof path_chars - 1};
    uint64_t left_bytes = UINT64_MAX;
    if (sys_read_file("/proc/self/cgroup", groups, sizeof groups) < 0)
        return left_bytes;
    const char *line = groups;
    while (strncmp(line, prefix, sizeof prefix - 1) != 0) {
        line = strchr(line, '\n');
        if (line++ == NULL)
            return left_bytes;
    }
    line += sizeof prefix - 1;
    text_add(&path, root);
    text_add_chars(&path, line, strcspn(line, "\n"));
    while (path.length >= sizeof root - 1) {
        uint64_t of_group = group_left_bytes(&path);
        if (of_group < left_bytes)
            left_bytes = of_group;
        do
            path.length--; /* up to the next folder's end */
        while (path.length >= sizeof root - 1 && path_chars[path.length] != '/');
    }
    return left_bytes;
}

static uint64_t memory_left_bytes(void) {
    uint64_t of_machine = machine_left_bytes(), of_groups = groups_left_bytes();
    return of_machine < of_groups ? of_machine : of_groups;
}
