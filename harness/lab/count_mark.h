/*
 * How a guest program tells the counting plugin (plugin/count.c) which part of it is to be counted:
 * by writing to a page at an agreed address. Without the plugin it is a page like any other. Only
 * sections that are ended are reported: one whose program dies in it is left out.
 */
#ifndef NUMA_LAB_COUNT_MARK_H
#define NUMA_LAB_COUNT_MARK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

/* "numa": a user's address on x86-64 and on arm64 with 48 bits, below all that the kernel picks. */
#define COUNT_MARK_ADDRESS  UINT64_C(0x6e756d610000)
#define COUNT_MARK_SECTIONS 2000 /* of each a byte begins it, another ends it */

/* Maps the page, and touches it, so that no mark has to wait for the kernel. False when something
 * else is there. */
static inline bool count_mark_map(void) {
    void *page =
        mmap((void *)COUNT_MARK_ADDRESS, 2 * COUNT_MARK_SECTIONS + 1, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (page != (void *)COUNT_MARK_ADDRESS)
        return false;
    ((volatile unsigned char *)page)[2 * COUNT_MARK_SECTIONS] = 1;
    return true;
}

/* To be called while the program's other threads wait. */
static inline void count_mark_begin(unsigned section) {
    ((volatile unsigned char *)COUNT_MARK_ADDRESS)[section] = 1;
}

static inline void count_mark_end(unsigned section) {
    ((volatile unsigned char *)COUNT_MARK_ADDRESS)[COUNT_MARK_SECTIONS + section] = 1;
}

#endif
