/* The hardware prefetchers of one core, switched off for a measurement and restored whatever ends
 * it. The hardware threads of a core share its prefetchers. */
#ifndef BENCH_PREFETCHERS_H
#define BENCH_PREFETCHERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "processor.h"

/* What --help says of --prefetchers. */
#define PREFETCHERS_HELP                                                                           \
    "\"off\": switch the hardware prefetchers of the measuring core off while it measures, and\n"  \
    "restore them after, also when the program is killed. Needs /dev/cpu/CPU/msr (module msr,\n"   \
    "root). The core's other hardware thread shares them. Random chains do not need it\n"          \
    "(default: as they are)"

/* Where the registers are: <root>/<cpu>/msr holds register N at offset N, see msr(4). */
#define PREFETCHERS_MSR_ROOT "/dev/cpu"

/* The register that holds them, and its bits that are 1 when one is off. No bits: not known. */
struct prefetchers_switch {
    uint32_t address;
    uint64_t off_bits;
};

/* Finds the register of this processor. Of Intel's only those whose bits are published:
 * - "Disclosure of Hardware Prefetcher Control on Some Intel Processors" (2014): MSR 1A4H, bits 0
 *   to 3, Nehalem to Broadwell; Intel SDM volume 4, chapter 2, has the same bits up to Rocket Lake;
 * - the same chapter: bit 5 (L2 AMP) from Alder Lake's large cores and Sapphire Rapids, bits 4 to 7
 *   from Meteor Lake and Granite Rapids; bits 0 and 2 in Goldmont; bits 0 and 1 in Xeon Phi;
 * - Intel, optimization-zone, "Hardware Prefetch Tuning for E-Cores", section 4.1: bits 0, 2, 3
 *   and 5 in Gracemont, 0 to 7 from Crestmont. The last-level cache's streamer of those cores
 *   (MSR 1320H) is left alone: several cores share that register.
 * AMD: the Processor Programming References of Zen 4 and 5, MSRC000_0108: bits 0 to 3 and 5, where
 * CPUID 8000_0021h EAX[13] says that it exists.
 * Arm has no register that all cores have. */
struct prefetchers_switch prefetchers_find(const struct processor *processor);

/* Room for why something could not be done: one line. */
#define PREFETCHERS_WHY 200

/* Always, between a prefetchers_guard that succeeds and prefetchers_restore: guardian lives, and
 * puts `before` back when this process ends or closes `leash`. */
struct prefetchers {
    struct prefetchers_switch found;
    uint64_t before; /* off_bits of the register as they were */
    int file, leash; /* the register's file; the socket whose closing the guardian waits for */
    pid_t guardian;
    char why[PREFETCHERS_WHY]; /* after a failure: one line, no line break */
};

/* Opens the CPU's register and starts the guardian, a child process in a session of its own that
 * no signal but SIGKILL ends. Nothing is switched yet. Call it before memory is got: pages written
 * before would be copied on the next write, since the guardian is a fork. Refuses, with why set,
 * where the processor is not known, the file is not there or not writable, or another process
 * holds it. What the guardian cannot help: a kill of its whole container or control group. */
bool prefetchers_guard(struct prefetchers *prefetchers, const char *msr_root, unsigned cpu,
                       const struct processor *processor);

/* Switches them off, reads back that they are. On failure they are as before; restore still has to
 * be called. */
bool prefetchers_off(struct prefetchers *prefetchers);

/* Puts the bits back as they were and ends the guardian. False with why when they are not. */
bool prefetchers_restore(struct prefetchers *prefetchers);

#endif
