/* The parts of run_cell. */
#ifndef RUN_CELL_H
#define RUN_CELL_H

#include <stdbool.h>
#include <sys/resource.h>
#include <time.h>

enum {
    STATUS_USAGE = 2,
    STATUS_OWN_FAILURE = 120,
    STATUS_TIMED_OUT = 124,
    STATUS_SETUP_FAILED = 125,
    STATUS_CANNOT_EXECUTE = 126,
    STATUS_NOT_FOUND = 127,
};

/* run_cell.c: one line on standard error, which the conductor gets too; then the end. */
__attribute__((format(printf, 2, 3), noreturn)) void fail(int status, const char *format, ...);

/* --- run_cell_process.c --------------------------------------------------------------------- */

enum { GRACE_S = 2 }; /* from SIGTERM to SIGKILL */

/* What became of one process. All zero when it was not started. */
struct outcome {
    bool ran;
    int status; /* as wait4 has it */
    bool timed_out;
    double wall_s;
    struct rusage usage;
};

/* What processes are started with. */
struct surroundings {
    int input, output, errors; /* descriptors */
    double timeout_s;          /* 0: none */
};

/* Before any other: gives the signals their default meaning again, whatever this process was
 * started with, and blocks those that processes_run() waits for. */
void signals_take(void);

/* Whether it is SIGINT, SIGTERM or SIGHUP. */
bool signal_asks_for_the_end(int number);

/* The one of those that has come since signals_take(), else 0. */
int signals_pending(void);

void signals_unblock(void);

/* Has the kernel send `signal` to this process when `parent` ends, or sends it when that is past.
 */
void end_with_parent(int parent, int signal);

/* What loses its parent below this process becomes its child, so that it can be ended. */
void adopt_orphans(void);

/* Runs a command in a process group of its own. When a signal interrupts, ends everything and then
 * this process, with 128 + its number. */
struct outcome process_run(char *const *command, const struct surroundings *surroundings);

/* Waits for the end of a process that is part of run_cell, and hands signals on to it. Returns its
 * status as wait4 has it. */
int process_watch(int pid);

/* Ends every process that came of this one, with SIGTERM and `grace_s` seconds later SIGKILL.
 * Returns how many there were. */
int end_descendants(double grace_s);

/* A status of wait4 as a shell gives it. */
int shell_status(int status);

/* --- run_cell_record.c ---------------------------------------------------------------------- */

struct cell {
    time_t started_at;
    struct outcome setup, command, teardown;
    int ended_processes; /* those still there after the teardown */
};

/* Where a record is to be; there is none yet. */
struct record_place {
    const char *path;
    char unfinished[4096]; /* its name until it is whole */
    int folder;            /* descriptor */
};

/* Removes an earlier record: from here on the run has not been done. */
void record_begin(struct record_place *place, const char *path);

/* Writes the record: it is there whole and for good, or not at all. */
void record_write(const struct record_place *place, const struct cell *cell);

#endif
