#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "controller.h"

#include <dirent.h>
#include <errno.h>
#include <hwloc.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "topology.h"

#define TEXT  256
#define NAMES 6

/* A kind of controller; the first that a machine has is taken, or traffic would count twice. */
struct kind {
    const char *prefix, *not_prefix; /* of the folder */
    const char *names[NAMES];        /* its events, of those that are there */
    /* For counters without named events: what they are, and the bytes a count. */
    const char *events[2];
    double bytes;
};

/* Names and codes: Linux, arch/x86/events/intel/uncore_snbep.c and uncore_snb.c; for AMD
 * tools/perf/pmu-events/arch/x86/amdzen4/memory-controller.json, where a CAS moves 64 bytes. */
static const struct kind kinds[] = {
    {.prefix = "uncore_imc",
     .not_prefix = "uncore_imc_free_running",
     .names = {"cas_count_read", "cas_count_write", "data_reads", "data_writes"}},
    {.prefix = "uncore_imc",
     .not_prefix = "uncore_imc_free_running",
     .names = {"cas_count_read_sch0", "cas_count_read_sch1", "cas_count_write_sch0",
               "cas_count_write_sch1"}},
    {.prefix = "uncore_imc_free_running", .names = {"data_read", "data_write"}},
    {.prefix = "amd_umc",
     .events = {"event=0x0a,rdwrmask=0x1", "event=0x0a,rdwrmask=0x2"},
     .bytes = 64},
};

/* Reads the first line of root/device/name, without its end. */
static bool read_line(const char *root, const char *device, const char *name, char text[TEXT]) {
    char path[4 * TEXT];
    snprintf(path, sizeof path, "%s/%s/%s", root, device, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool found = fgets(text, TEXT, file) != NULL;
    fclose(file);
    if (found)
        text[strcspn(text, "\n")] = '\0';
    return found;
}

/* Puts a value's bits where a format such as "config:0-7" or "config1:0-3,8" says. */
static bool place_bits(const char *format, uint64_t value, uint64_t config[3]) {
    char *at;
    unsigned which = 0;
    if (strncmp(format, "config", 6) != 0)
        return false;
    format += 6;
    if (*format == '1' || *format == '2')
        which = (unsigned)(*format++ - '0');
    if (*format != ':')
        return false;
    do {
        unsigned long low = strtoul(++format, &at, 10), high = low;
        if (at == format)
            return false;
        if (*at == '-') {
            format = at + 1;
            high = strtoul(format, &at, 10);
            if (at == format)
                return false;
        }
        if (low > high || high > 63)
            return false;
        for (unsigned long bit = low; bit <= high; bit++, value >>= 1)
            config[which] |= (value & 1) << bit;
        format = at;
    } while (*format == ',');
    return *format == '\0' && value == 0;
}

/* Reads what an event is, such as "event=0x04,umask=0x03": a term without a value is 1. */
static bool read_terms(const char *root, const char *device, const char *text,
                       struct controller_event *event) {
    char terms[TEXT], *rest;
    snprintf(terms, sizeof terms, "%s", text);
    for (char *term = strtok_r(terms, ",", &rest); term != NULL;
         term = strtok_r(NULL, ",", &rest)) {
        char name[TEXT + 8], format[TEXT], *end = "";
        char *equals = strchr(term, '=');
        uint64_t value = equals != NULL ? strtoull(equals + 1, &end, 0) : 1;
        if (*end != '\0' || (equals != NULL && end == equals + 1))
            return false;
        if (equals != NULL)
            *equals = '\0';
        snprintf(name, sizeof name, "format/%s", term);
        if (!read_line(root, device, name, format) || !place_bits(format, value, event->config))
            return false;
    }
    return true;
}

/* Bytes a count: the scale is in the unit. */
static bool read_bytes(const char *root, const char *device, const char *name, double *bytes) {
    char path[TEXT], text[TEXT], *end;
    snprintf(path, sizeof path, "events/%s.scale", name);
    if (!read_line(root, device, path, text))
        return false;
    double scale = strtod(text, &end);
    if (end == text || *end != '\0' || !(scale > 0))
        return false;
    snprintf(path, sizeof path, "events/%s.unit", name);
    if (!read_line(root, device, path, text))
        return false;
    *bytes = strcmp(text, "MiB") == 0 ? scale * (1 << 20) : strcmp(text, "Bytes") == 0 ? scale : 0;
    return *bytes > 0;
}

struct found {
    struct controller_event *events;
    size_t capacity, count;
};

/* Adds the event for every CPU that is to read it. */
static void add_event(struct found *found, const struct controller_event *event,
                      hwloc_const_bitmap_t cpus) {
    for (int cpu = hwloc_bitmap_first(cpus); cpu >= 0; cpu = hwloc_bitmap_next(cpus, cpu)) {
        if (found->count < found->capacity) {
            found->events[found->count] = *event;
            found->events[found->count].cpu = (unsigned)cpu;
        }
        found->count++;
    }
}

/* Adds the events of one controller. */
static void add_device(struct found *found, const char *root, const char *device,
                       const struct kind *kind) {
    char text[TEXT], path[TEXT], *end;
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    if (cpus != NULL && read_line(root, device, "cpumask", text) &&
        topology_parse_cpus(text, cpus) && read_line(root, device, "type", text)) {
        struct controller_event event = {.type = (uint32_t)strtoul(text, &end, 10)};
        bool numbered = end != text && *end == '\0';
        for (size_t i = 0; numbered && i < NAMES && kind->names[i] != NULL; i++) {
            struct controller_event named = event;
            snprintf(path, sizeof path, "events/%s", kind->names[i]);
            if (read_line(root, device, path, text) && read_terms(root, device, text, &named) &&
                read_bytes(root, device, kind->names[i], &named.bytes))
                add_event(found, &named, cpus);
        }
        for (size_t i = 0; numbered && i < 2 && kind->events[i] != NULL; i++) {
            struct controller_event coded = event;
            coded.bytes = kind->bytes;
            if (read_terms(root, device, kind->events[i], &coded))
                add_event(found, &coded, cpus);
        }
    }
    hwloc_bitmap_free(cpus);
}

static bool begins_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

size_t controller_find(const char *root, struct controller_event *events, size_t capacity) {
    struct found found = {.events = events, .capacity = capacity};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0] && found.count == 0; k++) {
        const struct kind *kind = &kinds[k];
        DIR *folder = opendir(root);
        if (folder == NULL)
            return 0;
        for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
            if (begins_with(entry->d_name, kind->prefix) &&
                (kind->not_prefix == NULL || !begins_with(entry->d_name, kind->not_prefix)))
                add_device(&found, root, entry->d_name, kind);
        closedir(folder);
    }
    return found.count;
}

static bool refuse(struct controller *controller, const char *why) {
    controller_close(controller);
    controller->why = why;
    return false;
}

bool controller_open(struct controller *controller, const char *root) {
    *controller = (struct controller){.why = NULL};
    size_t count = controller_find(root, NULL, 0);
    if (count == 0)
        return refuse(controller, "this machine shows no counters of its memory controllers");
    controller->events = calloc(count, sizeof *controller->events);
    controller->files = calloc(count, sizeof *controller->files);
    if (controller->events == NULL || controller->files == NULL ||
        controller_find(root, controller->events, count) != count)
        return refuse(controller, "no memory for the list of counters");
    for (size_t i = 0; i < count; i++) {
        const struct controller_event *event = &controller->events[i];
        struct perf_event_attr attributes = {
            .type = event->type,
            .size = sizeof attributes,
            .config = event->config[0],
            .config1 = event->config[1],
            .config2 = event->config[2],
            .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        };
        int file = (int)syscall(SYS_perf_event_open, &attributes, -1, (int)event->cpu, -1,
                                PERF_FLAG_FD_CLOEXEC);
        if (file < 0)
            return refuse(controller, errno == EACCES || errno == EPERM
                                          ? "the kernel allows it to nobody without CAP_PERFMON "
                                            "(kernel.perf_event_paranoid)"
                                          : strerror(errno));
        controller->files[controller->count++] = file;
    }
    return true;
}

bool controller_read(const struct controller *controller, double *bytes) {
    *bytes = 0;
    for (size_t i = 0; i < controller->count; i++) {
        struct {
            uint64_t value, enabled_ns, running_ns;
        } count;
        if (read(controller->files[i], &count, sizeof count) != sizeof count ||
            count.running_ns == 0)
            return false;
        /* With more events than counters the kernel lets them take turns. */
        *bytes += (double)count.value * controller->events[i].bytes * (double)count.enabled_ns /
                  (double)count.running_ns;
    }
    return controller->count > 0;
}

void controller_close(struct controller *controller) {
    for (size_t i = 0; i < controller->count; i++)
        close(controller->files[i]);
    free(controller->events);
    free(controller->files);
    controller->events = NULL;
    controller->files = NULL;
    controller->count = 0;
}
