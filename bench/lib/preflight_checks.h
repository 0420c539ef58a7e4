/* For the parts of preflight: the checks, and what they share. */
#ifndef BENCH_PREFLIGHT_CHECKS_H
#define BENCH_PREFLIGHT_CHECKS_H

#include <stdint.h>

#include "preflight.h"

/* Fills all of a check but its name; it comes zeroed: ok, with empty texts. */
typedef void preflight_look(const struct preflight_machine *machine, struct preflight_check *check);

/* preflight_calls.c */
preflight_look look_at_mbind, look_at_set_mempolicy, look_at_get_mempolicy, look_at_move_pages,
    look_at_numa_maps, look_at_perf_core, look_at_perf_uncore, look_at_msr, look_at_prefetchers;
/* preflight_memory.c */
preflight_look look_at_nodes, look_at_free_memory, look_at_thp, look_at_huge_2m, look_at_huge_1g,
    look_at_numa_balancing, look_at_zone_reclaim, look_at_overcommit;
/* preflight_cpus.c */
preflight_look look_at_governor, look_at_turbo, look_at_idle_states, look_at_smt, look_at_isolation,
    look_at_clock_source;
/* preflight_load.c */
preflight_look look_at_busy_cpus, look_at_load_average, look_at_steal;
/* preflight_limits.c */
preflight_look look_at_cpuset, look_at_cpu_quota, look_at_memory_limit, look_at_virtualisation;

/* Set one of the check's texts; what does not fit is cut. */
void check_value(struct preflight_check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void check_meaning(struct preflight_check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void check_act(struct preflight_check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes after what the text holds; what does not fit in size is cut. */
void text_append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define FILE_TEXT 4096

/* Reads a file's first FILE_TEXT - 1 bytes without the last line break. False, with an empty text,
 * when it cannot be read. */
bool file_text(char text[FILE_TEXT], const char *path_format, ...)
    __attribute__((format(printf, 2, 3)));

/* Reads a file that holds a number, of either sign. */
bool file_number(long long *number, const char *path_format, ...)
    __attribute__((format(printf, 2, 3)));

/* Reads a file that holds a list such as "0,2-3" into a new bitmap, NULL when it cannot. */
hwloc_bitmap_t file_list(const char *path_format, ...) __attribute__((format(printf, 1, 2)));

bool file_exists(const char *path_format, ...) __attribute__((format(printf, 1, 2)));

/* The value behind a "Key:" of a file of such lines, from its first non-blank; cut at the line's
 * end. */
bool line_value(const char *text, const char *key, char value[FILE_TEXT]);

#define LIST_TEXT 120

/* "0,2-3"; returns text. A longer list is cut. */
const char *list_text(hwloc_const_bitmap_t list, char text[LIST_TEXT]);

/* Activity of that CPU, NULL when not known. */
const struct preflight_cpu_activity *activity_of(const struct preflight_machine *machine,
                                                 unsigned cpu);

/* A CPU that is busy for a larger part of the time than this is not free to measure. The kernel
 * counts in ticks of 1 to 10 ms, so one tick in half a second is 0.02 at most. */
#define BUSY_SHARE 0.05

/* Threads that share a core with this CPU, itself included; NULL when not known. */
hwloc_bitmap_t siblings_of(const struct preflight_machine *machine, unsigned cpu);

/* Whether a processor, a file or the maker says that this is a virtual machine. */
bool is_virtual(const struct preflight_machine *machine);

/* The folder of a control group's controller, and where its groups begin: both of cgroup(7)'s
 * versions, hybrids of them too. */
struct cgroup {
    bool v2;
    char top[FILE_TEXT], path[FILE_TEXT]; /* path: "" is the top, else begins with '/' */
};

bool cgroup_find(const struct preflight_machine *machine, const char *controller,
                 struct cgroup *cgroup);

#endif
