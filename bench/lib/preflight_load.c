/* What else runs: on the CPUs, before and beside the measurement, and on the host. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "preflight_checks.h"

/* Columns of a CPU's line of /proc/stat that count here (proc(5)); guest time is in user time. */
enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, TIMES };

/* Reads "cpuN ..." at line. False for another line. */
static bool read_cpu_line(const char *line, unsigned *cpu, unsigned long long times[TIMES]) {
    char *end;
    if (strncmp(line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9')
        return false;
    *cpu = (unsigned)strtoul(line + 3, &end, 10);
    for (int i = 0; i < TIMES; i++)
        times[i] = strtoull(end, &end, 10); /* 0 where an old kernel has fewer */
    return true;
}

static const char *next_line(const char *text) {
    const char *end = strchr(text, '\n');
    return end != NULL ? end + 1 : text + strlen(text);
}

static bool find_cpu_line(const char *text, unsigned cpu, unsigned long long times[TIMES]) {
    unsigned found;
    for (; *text != '\0'; text = next_line(text))
        if (read_cpu_line(text, &found, times) && found == cpu)
            return true;
    return false;
}

static double grown(unsigned long long before, unsigned long long after) {
    return after > before ? (double)(after - before) : 0; /* idle times may step back (proc(5)) */
}

static struct preflight_cpu_activity compare(unsigned cpu, const unsigned long long before[TIMES],
                                             const unsigned long long after[TIMES]) {
    double idle = 0, busy = 0, stolen = grown(before[STEAL], after[STEAL]);
    for (int i = 0; i < STEAL; i++)
        *(i == IDLE || i == IOWAIT ? &idle : &busy) += grown(before[i], after[i]);
    double all = idle + busy + stolen;
    return (struct preflight_cpu_activity){cpu, all > 0 ? busy / all : 0,
                                           all > 0 ? stolen / all : 0};
}

bool preflight_compare_stat(const char *before, const char *after,
                            struct preflight_activity *activity) {
    unsigned long long was[TIMES], is[TIMES];
    unsigned cpu;
    size_t lines = 0;
    *activity = (struct preflight_activity){0};
    for (const char *line = after; *line != '\0'; line = next_line(line))
        lines += read_cpu_line(line, &cpu, is);
    activity->cpus = calloc(lines + 1, sizeof *activity->cpus);
    if (activity->cpus == NULL)
        return false;
    for (const char *line = after; *line != '\0'; line = next_line(line))
        if (read_cpu_line(line, &cpu, is) && find_cpu_line(before, cpu, was))
            activity->cpus[activity->count++] = compare(cpu, was, is);
    return activity->count > 0;
}

const struct preflight_cpu_activity *activity_of(const struct preflight_machine *machine,
                                                 unsigned cpu) {
    for (size_t i = 0; i < machine->activity.count; i++)
        if (machine->activity.cpus[i].cpu == cpu)
            return &machine->activity.cpus[i];
    return NULL;
}

/* The CPUs' part of the file, which has megabytes on large machines; for free(), NULL when it
 * cannot be read. */
static char *read_stat(const char *proc) {
    char path[FILE_TEXT], *text = NULL, *line = NULL;
    size_t size = 0, room = 0;
    snprintf(path, sizeof path, "%s/stat", proc);
    FILE *file = fopen(path, "re"), *copy = open_memstream(&text, &size);
    while (file != NULL && copy != NULL && getline(&line, &room, file) > 0 &&
           strncmp(line, "cpu", 3) == 0)
        fputs(line, copy);
    free(line);
    if (file != NULL)
        fclose(file);
    if (copy != NULL)
        fclose(copy);
    return text;
}

void preflight_watch(struct preflight_machine *machine, unsigned long watch_ns) {
    char *before = read_stat(machine->proc);
    struct timespec left = {.tv_sec = (time_t)(watch_ns / 1000000000),
                            .tv_nsec = (long)(watch_ns % 1000000000)};
    while (nanosleep(&left, &left) != 0) {
    }
    char *after = read_stat(machine->proc);
    if (before != NULL && after != NULL)
        preflight_compare_stat(before, after, &machine->activity);
    free(before);
    free(after);
}

void look_at_busy_cpus(const struct preflight_machine *machine, struct preflight_check *check) {
    hwloc_bitmap_t idle = hwloc_bitmap_alloc(), busy = hwloc_bitmap_alloc();
    char list[LIST_TEXT];
    double most = 0;
    int cpu;
    hwloc_bitmap_foreach_begin(cpu, machine->cpus) {
        const struct preflight_cpu_activity *activity = activity_of(machine, (unsigned)cpu);
        if (activity == NULL)
            continue;
        hwloc_bitmap_set(activity->busy > BUSY_SHARE ? busy : idle, (unsigned)cpu);
        most = activity->busy > most ? activity->busy : most;
    }
    hwloc_bitmap_foreach_end();
    if (machine->activity.count == 0) {
        check->level = PREFLIGHT_NOTE;
        check_value(check, "/proc/stat not readable");
        check_meaning(check, "What else runs on the CPUs is not known.");
    } else if (hwloc_bitmap_iszero(busy)) {
        check_value(check, "none: at most %.0f %% of a CPU's time", most * 100);
    } else {
        check->level = PREFLIGHT_WARN;
        check_value(check, "CPUs %s, up to %.0f %% of the time", list_text(busy, list), most * 100);
        check_meaning(check, "Other programs interrupt the measurement there and use caches and "
                             "memory bandwidth everywhere.");
        if (hwloc_bitmap_iszero(idle))
            check_act(check, "end other programs; top says which");
        else
            check_act(check, "end other programs, or measure on idle CPUs: %s",
                      list_text(idle, list));
    }
    hwloc_bitmap_free(idle);
    hwloc_bitmap_free(busy);
}

void look_at_load_average(const struct preflight_machine *machine, struct preflight_check *check) {
    char text[FILE_TEXT];
    double minute, five_minutes, quarter;
    int cpus = hwloc_bitmap_weight(machine->cpus);
    if (!file_text(text, "%s/loadavg", machine->proc) ||
        sscanf(text, "%lf %lf %lf", &minute, &five_minutes, &quarter) != 3) {
        check_value(check, "not readable");
        return;
    }
    check_value(check, "%.2f over 1 minute, %.2f over 5, %.2f over 15", minute, five_minutes,
                quarter);
    if (cpus < 1 || minute < 0.5 * cpus)
        return;
    check->level = PREFLIGHT_NOTE;
    check_meaning(check, "Much was running a moment ago, on %d usable CPU%s; it may come back.",
                  cpus, cpus == 1 ? "" : "s");
    check_act(check,
              "wait until the machine is quiet; the sweep's rounds show what comes and goes");
}

/* Above this part of the time the host's other guests are seen in a median. */
#define STEAL_SHARE 0.005

void look_at_steal(const struct preflight_machine *machine, struct preflight_check *check) {
    double most = 0;
    for (size_t i = 0; i < machine->activity.count; i++)
        if (machine->activity.cpus[i].stolen > most)
            most = machine->activity.cpus[i].stolen;
    if (machine->activity.count == 0) {
        check_value(check, "not known");
        return;
    }
    check_value(check, "%.1f %% of a CPU's time at most", most * 100);
    if (most <= STEAL_SHARE)
        return;
    check->level = PREFLIGHT_WARN;
    check_meaning(check, "The host ran something else while this machine's CPUs had work: samples "
                         "have gaps that nothing here can see.");
    check_act(check, "use a dedicated host or pinned virtual CPUs; else take more rounds");
}
