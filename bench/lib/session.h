/* What all measuring programs do around their measurement: options, CPU, memory, report. */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include <hwloc.h>
#include <stdbool.h>
#include <stdint.h>

#include "memory.h"
#include "options.h"
#include "placement.h"
#include "series.h"
#include "stats.h"
#include "watch.h"

/* Exit statuses: design.md, section 2. */
enum { SESSION_MEASURED = 0, SESSION_NOT_MEASURED = 1, SESSION_BAD_USAGE = 2 };

/* Room for a proof in words; a longer one is cut. */
#define SESSION_PROOF_TEXT 160
#define SESSION_PAGES_TEXT 64

struct session;

/* What differs between the programs. */
struct session_program {
    const char *name; /* of the program, and the CSV's bench */
    const char *metric, *unit;
    const char *about;     /* paragraphs of --help above the options, ending in a newline */
    const char *size_help; /* of --size */
    uint64_t size_min_bytes, size_max_bytes;
    uint64_t size_default_bytes; /* raised to 4 x cache */
    unsigned arrays;             /* blocks of --size that are allocated */
    bool checks_room;            /* calls session_check_room itself: it allocates otherwise */
    bool threaded;               /* has --threads */
    bool threads_auto;           /* --threads also takes "auto" */
    bool fillable;               /* has --fill-cpu */
    unsigned min_sample_ms;      /* default of --min-sample-ms; 0: 100 */
    bool sizeless;               /* has no --size: it sizes its memory itself, or measures none */
    bool nodeless; /* has no --node: it places its memory itself, or goes through all */
    /* Options that only this program has. */
    const struct option_row *own_options;
    size_t own_option_count;
    /* The table for people in place of the usual one, its first lines included; NULL: none. */
    void (*print_table)(const struct session *session, const struct series *series, size_t count);
    /* The table's rows for people; NULL: a row a series. */
    void (*print_rows)(const struct session *session, const struct series *series, size_t count);
};

struct session {
    const struct session_program *program;
    struct option_value cpu, node, size, threads, fill_cpu, max_samples, precision, min_sample_ms;
    struct option_value csv, help;
    bool threads_auto; /* --threads auto: threads.value is then all CPUs, and cpus has them all */
    char min_sample_help[64];
    hwloc_topology_t topology;
    hwloc_bitmap_t allowed; /* CPUs this process could use when it started: taskset's */
    unsigned *cpus;         /* to measure from, one a thread, threads.value of them */
    int cpu_node;           /* node of cpus[0], as the kernel says */
    struct memory_source source;
    struct watch watch; /* to compare readings of a timed thread with */
    /* What was checked of the memory, in words; empty: nothing. For the report. */
    char proof[SESSION_PROOF_TEXT];
    /* Why the figures are of caches, not of memory; empty: they are of memory, or meant to be. */
    char cached[SESSION_PROOF_TEXT];
    char pages_on_nodes[SESSION_PROOF_TEXT]; /* by session_judge */
    /* How much of "default" pages the kernel made huge; empty: none. */
    char huge_pages[SESSION_PAGES_TEXT];
};

/* Reads the options, pins the calling thread to its CPU, or to that of --fill-cpu until
 * session_leave_fill_cpu, and decides where memory comes from.
 * Returns true to go on; otherwise --help is answered or the reason is on stderr, and *status is
 * the exit status. */
bool session_start(struct session *session, const struct session_program *program, int argc,
                   char **argv, int *status);

/* Goes from the CPU that fills the memory to the one that measures. Returns 0 or an errno. */
int session_leave_fill_cpu(const struct session *session);

/* Gives back what session_start took. */
void session_end(struct session *session);

/* Writes "program: ..." on stderr as one line. */
void session_say(const struct session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Kernel's id of the node of the CPU the calling thread runs on; negative when it will not say. */
int session_current_node(void);

/* Once the blocks are written: notes in the source which pages are in force, and says so if they
 * are not those asked for; of default ones, how many the kernel made huge. */
void session_look_at_pages(struct session *session, void *const *blocks, size_t count,
                           size_t block_bytes);

/* The worse of both verdicts on the memory before and after timing. Says so when pages moved in
 * between and NUMA balancing is on. */
struct placement_verdict session_judge(struct session *session,
                                       const struct placement_tally *before,
                                       const struct placement_tally *after);

/* The shortest sample. */
uint64_t session_min_sample_ns(const struct session *session);

/* A warm-up's span, and how far its medians may differ. */
uint64_t session_warmup_ns(const struct session *session);

/* True when the series needs no more samples, by the session's options. */
bool session_enough(const struct session *session, const struct series *series);

/* True when a settled series has an interval as narrow as --precision asks, of undisturbed samples.
 */
bool session_knows_well(const struct session *session, const struct series *series);

/* False with one line said, and the exit status set, when the node asked for is too small for so
 * much in all: the kernel would end the process, not refuse. */
bool session_check_room(const struct session *session, uint64_t wanted_bytes, int *status);

/* Says on stderr why nothing was measured and, with --csv, writes a row of status failed with that
 * reason. Returns SESSION_NOT_MEASURED. */
int session_fail(const struct session *session, const char *variant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Settles the series, writes their samples (CSV) or their summary to stdout and warnings to stderr.
 * Returns the exit status. */
int session_report(const struct session *session, struct series *series, size_t count,
                   struct placement_verdict placement);

/* The usual table's rows, with their heading: one a series, each of the program's unit. */
void session_print_rows(const struct session *session, const struct series *series, size_t count);

#define SESSION_INTERVAL_TEXT 80

/* A median's interval as tables show it: "LOW to HIGH", or that it has none; returns text. */
const char *session_interval(const struct stats_summary *summary, char text[SESSION_INTERVAL_TEXT]);

#endif
