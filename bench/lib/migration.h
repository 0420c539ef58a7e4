/* Memory whose pages are moved from node to node, in batches, and what became of them. */
#ifndef BENCH_MIGRATION_H
#define BENCH_MIGRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "page_kind.h"

/* The system calls that move pages. */
enum migration_call { MIGRATION_MOVE_PAGES, MIGRATION_MBIND, MIGRATION_CALLS };

/* move_pages(2), and mbind(2) with MPOL_MF_MOVE. */
extern const char *const migration_call_names[MIGRATION_CALLS];

/* Pages a call; this many are all of the memory's. */
#define MIGRATION_ALL SIZE_MAX

/* Most batches in a list. */
#define MIGRATION_BATCHES 16

struct migration_batches {
    size_t pages[MIGRATION_BATCHES], count;
};

/* Reads "1,64,all": whole numbers from 1, or "all". False, with the batches untouched, for anything
 * else, and for more than MIGRATION_BATCHES. */
bool migration_parse_batches(const char *text, struct migration_batches *batches);

/* Those that differ for memory of that many pages: one of as many or more is MIGRATION_ALL. */
void migration_fit_batches(const struct migration_batches *asked, size_t pages,
                           struct migration_batches *batches);

/* Room for "move_pages/18446744073709551615". */
#define MIGRATION_VARIANT_TEXT 40

/* "move_pages/64", "mbind/all". */
const char *migration_variant(enum migration_call call, size_t batch,
                              char text[MIGRATION_VARIANT_TEXT]);

/* Reads names out of a list such as "thp,2M" as one bit each. False for an unknown one or none. */
bool migration_parse_names(const char *text, const char *const *names, size_t count,
                           unsigned *chosen);

struct migration_memory {
    char *start;
    size_t page_bytes, pages; /* a huge page is moved whole, so it counts as one */
    int nodes[2];             /* pages travel between them */
    int at;                   /* all pages are there; negative: not known, or not all */
    /* For move_pages, `pages` of each. */
    void **addresses;
    int *targets[2]; /* the node of that index, again and again */
    int *status;
    int *found; /* the node where migration_look last found each; negative: not known */
    enum page_kind kind;
};

/* Maps and writes memory of such pages: size_bytes rounded up to one, but of reserved pages no more
 * than are left. Where it is is the kernel's choice; if mbind is allowed, NUMA balancing keeps off
 * it. False with the reason in *why (static text). */
bool migration_map(struct migration_memory *memory, enum page_kind kind, size_t size_bytes,
                   const int nodes[2], const char **why);
void migration_unmap(struct migration_memory *memory);

/* Bytes in reserved pages of the kind that nobody has or was promised; 0 for the other kinds. */
size_t migration_reserved_bytes(enum page_kind kind);

/* Moves all pages to nodes[which], whatever calls that takes. Returns 0, or the errno with which
 * they are not there; EBUSY when no call failed. */
int migration_bring(struct migration_memory *memory, unsigned which);

/* Goes through memory batch after batch, and back. */
struct migration_shuttle {
    struct migration_memory *memory;
    enum migration_call call;
    size_t batch;
    unsigned to; /* index in memory's nodes */
    size_t next; /* page; 0: a pass begins */
};

/* Moves one batch, and turns round behind the last. Returns how many pages it asked for; 0 with
 * *error, an errno, when the call is refused. What became of each page is in memory's status
 * (move_pages). */
size_t migration_step(struct migration_shuttle *shuttle, int *error);

/* What came of pages that calls asked for. */
struct migration_changes {
    size_t moved;     /* are on another node than when last looked for */
    size_t not_known; /* of these the kernel did not say where they are, now or then */
};

/* Asks where pages [first, first + count) are (move_pages(2) without nodes), and adds to changes
 * how they differ from the last look at them. Overwrites memory's status. */
void migration_look(struct migration_memory *memory, size_t first, size_t count,
                    struct migration_changes *changes);

/* What is where after pages [0, count) were moved. */
struct migration_arrival {
    double fraction;      /* of them on the node asked for */
    uint64_t on_nodes[2]; /* how many are on memory's nodes[0] and nodes[1], as the kernel counts */
    bool told;            /* whether the kernel said */
    int error; /* errno of the first page that move_pages left behind, or of the refusal to
                  tell; 0: none */
};

/* Asks for every page (placement_ask), not the calls that moved them. `reason` says whether
 * memory's status is of this move: the first error in it is then given too. */
struct migration_arrival migration_ask(const struct migration_memory *memory, size_t count,
                                       unsigned which, bool reason);

/* Whether a call can be made at all: 0, or its errno. Moves one page that is where it should be. */
int migration_try_call(enum migration_call call, int node);

/* What the kernel counts of migrations, of all programs (/proc/vmstat). */
enum migration_counter {
    MIGRATION_MOVED,
    MIGRATION_STAYED,
    MIGRATION_HUGE_MOVED,
    MIGRATION_HUGE_SPLIT, /* to be moved in pieces */
    MIGRATION_SPLIT,      /* for whatever reason */
    MIGRATION_COUNTERS
};

extern const char *const migration_counter_names[MIGRATION_COUNTERS];

/* Reads the text of /proc/vmstat; a counter that it lacks is 0. */
void migration_read_counters(FILE *vmstat, uint64_t counters[MIGRATION_COUNTERS]);

#endif
