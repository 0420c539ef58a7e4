/* Where the allocator enters the kernel, and what the manual pages say may come of it. */
#ifndef TESTS_INJECTION_SITES_H
#define TESTS_INJECTION_SITES_H

#include <stdbool.h>

#define ERRORS_MAX 10

/* A kind of call: its number and, where that matters, one argument. */
struct site {
    const char *name;
    long call;
    int argument; /* which one is compared with `value`; -1: none */
    unsigned long value, mask;
    bool from_anywhere; /* libc makes it for the allocator, and nobody else here does */
    bool performed;     /* the call takes place, and its answer is replaced */
    int most_in_a_row;  /* 0: may fail for ever; else the caller rightly tries again until it works
                         */
    int errors[ERRORS_MAX + 1];
};

#define SITES 29
extern const struct site sites[SITES];

#endif
