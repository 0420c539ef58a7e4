/* Whether memory is in the larger pages that were asked for, as the kernel says. */
#ifndef BENCH_PAGES_H
#define BENCH_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Bytes looked at so far, and those of them that are in such pages. Starts zeroed. */
struct pages_tally {
    uint64_t bytes, in_force;
};

/* Adds [start, start + size_bytes) from the text of /proc/self/smaps (proc(5)); `pages` is "thp",
 * "2M" or "1G". Under "thp" the whole mappings that the range lies in are counted, since the kernel
 * tells no more. Needs a seekable stream. False, with the tally untouched, when no mapping of it is
 * found. */
bool pages_add(FILE *smaps, uintptr_t start, size_t size_bytes, const char *pages,
               struct pages_tally *tally);

/* What part of the bytes counts as all of them. */
#define PAGES_ENOUGH 0.99

/* `pages` when enough of the bytes are in such, "default" when none are, else "mixed". */
const char *pages_in_force(const struct pages_tally *tally, const char *pages);

#endif
