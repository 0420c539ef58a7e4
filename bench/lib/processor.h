/* Which processor the calling thread runs on, as far as the benchmarks need to know: cores of one
 * machine may differ, so pin the thread before asking. */
#ifndef BENCH_PROCESSOR_H
#define BENCH_PROCESSOR_H

#include <stdbool.h>

struct processor {
    char vendor[13];        /* of CPUID, "GenuineIntel"; empty where there is no CPUID */
    unsigned family, model; /* with the extended parts added, as Linux counts them */
    bool atom_core;         /* the smaller kind of core of a hybrid processor */
    bool prefetch_control;  /* AMD: CPUID says that MSR C000_0108 exists */
    bool invariant_tsc;     /* the time-stamp counter does not follow the clock frequency */
    bool virtualised;       /* a hypervisor says that it is there */
    char hypervisor[13];    /* its signature, such as "KVMKVMKVM"; empty when unknown */
};

/* Asks CPUID (Intel SDM volume 2, AMD APM volume 3); all is zero on other architectures. */
void processor_identify(struct processor *processor);

#endif
