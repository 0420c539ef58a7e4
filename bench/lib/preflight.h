/* What a machine allows a benchmark to do, and what on it will disturb the numbers. Each check
 * reads below the roots it is given and asks system calls through a function, so that any machine
 * can be made up. A file that is not there or masked is a state with a name, never an error. */
#ifndef BENCH_PREFLIGHT_H
#define BENCH_PREFLIGHT_H

#include <hwloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "processor.h"

enum preflight_level {
    PREFLIGHT_OK,
    PREFLIGHT_NOTE, /* cannot be had here, or is good to know */
    PREFLIGHT_WARN, /* will disturb the numbers */
};

struct preflight_check {
    const char *name;
    enum preflight_level level;
    char value[160];   /* what was found */
    char meaning[240]; /* for the numbers; empty when there is nothing to say */
    char act[240];     /* what to do; empty when nothing is to be done */
};

/* What may be asked of the kernel. */
enum preflight_call {
    PREFLIGHT_MBIND,
    PREFLIGHT_SET_MEMPOLICY,
    PREFLIGHT_GET_MEMPOLICY,
    PREFLIGHT_MOVE_PAGES,      /* where the process's own pages are */
    PREFLIGHT_PERF_CORE,       /* count cycles of the process in user space */
    PREFLIGHT_PERF_SYSTEM_WIDE /* count on a CPU whatever runs: what memory controllers need */
};

/* Tries a call, on that node where it takes one. 0 or the errno. */
typedef int preflight_try(enum preflight_call call, unsigned node);

/* Asks the kernel this process runs on. */
preflight_try preflight_ask_kernel;

/* Shares, 0 to 1, of the time between two looks at /proc/stat. */
struct preflight_cpu_activity {
    unsigned cpu;
    double busy, stolen;
};

struct preflight_activity {
    struct preflight_cpu_activity *cpus; /* in the order of /proc/stat; NULL when not known */
    size_t count;
};

/* Compares two texts of /proc/stat (proc(5)). False when they hold no CPU. */
bool preflight_compare_stat(const char *before, const char *after,
                            struct preflight_activity *activity);

struct preflight_machine {
    const char *proc, *sys, *dev; /* roots: "/proc", "/sys", "/dev" */
    preflight_try *try;
    struct processor processor;
    hwloc_bitmap_t cpus, nodes; /* that this process may use */
    struct preflight_activity activity;
};

/* Roots and a way to ask, filled by the caller; opens the rest of the machine but the activity.
 * False when there is no memory for it. */
bool preflight_open(struct preflight_machine *machine);
void preflight_close(struct preflight_machine *machine);

/* Reads /proc/stat twice, this many ns apart, for machine->activity. */
void preflight_watch(struct preflight_machine *machine, unsigned long watch_ns);

/* Runs every check, in the order of the table. Returns them, *count of them, for free(); NULL
 * without memory. */
struct preflight_check *preflight_run(const struct preflight_machine *machine, size_t *count);

/* The table for people: at most 100 columns. */
void preflight_print(FILE *out, const struct preflight_check *checks, size_t count);

/* One JSON object: "machine" (facts), "checks" and how many of each level. The topology may be
 * NULL. */
void preflight_print_json(FILE *out, const struct preflight_machine *machine,
                          hwloc_topology_t topology, const struct preflight_check *checks,
                          size_t count);

/* "ok", "note", "warn". */
const char *preflight_level_name(enum preflight_level level);

#endif
