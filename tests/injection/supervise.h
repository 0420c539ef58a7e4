/* One program run under ptrace, some of whose allocator's system calls fail. */
#ifndef TESTS_INJECTION_SUPERVISE_H
#define TESTS_INJECTION_SUPERVISE_H

#include "sites.h"

#include <stddef.h>
#include <stdint.h>

/* Which of a site's calls fail: `first`, and each `step`-th after it, `count` in all. */
struct pattern {
    unsigned first, step, count;
};

/* Answers every call of a site, from start to end, as a container's filter would. */
struct refusal {
    const struct site *site; /* NULL: none */
    int error;
};

#define PLACES_MAX 64

/* What one run was given and what came of it. */
struct trial {
    const struct site *site; /* NULL: nothing fails */
    int error;
    struct pattern pattern;
    struct refusal refusal;
    bool without_vdso; /* the clock and getcpu are system calls */
    char *const *arguments, *const *environment;
    /* Answers. */
    unsigned reached[SITES]; /* calls made while the window was open */
    unsigned injected;
    int status; /* exit status, or minus the signal; TIMED_OUT */
    char verdict[512], messages[4096];
    uintptr_t places[PLACES_MAX]; /* in the library, of the calls that failed */
    size_t place_count;
};

/* A run's status where it has none of its own. */
enum { TIMED_OUT = -1000, CANNOT_TRACE = -1001, CANNOT_FILTER = 125 };

/* Every place of the library that any run has come by, as offsets in its file. */
extern uintptr_t places_seen[1024];
extern size_t places_seen_count;

/* Runs the program. `library`: base name of the file whose calls count. */
void supervise(struct trial *trial, const char *library);

#endif
