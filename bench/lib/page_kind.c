#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "page_kind.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "placement.h"

/* mmap(2): the page size's logarithm stands in these bits of the flags. */
#define HUGE_SHIFT_BIT 26

#define THP_SIZE_FILE "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

static const char *const names[PAGE_KINDS] = {
    [PAGE_BASE] = "base", [PAGE_THP] = "thp", [PAGE_2M] = "2M", [PAGE_1G] = "1G"};

const char *page_kind_name(enum page_kind kind) {
    return names[kind];
}

bool page_kind_parse(const char *name, size_t length, enum page_kind *kind) {
    for (size_t i = 0; i < PAGE_KINDS; i++)
        if (strlen(names[i]) == length && strncmp(names[i], name, length) == 0) {
            *kind = (enum page_kind)i;
            return true;
        }
    return false;
}

static size_t thp_bytes(void) {
    unsigned long bytes = 0;
    FILE *file = fopen(THP_SIZE_FILE, "re");
    if (file != NULL) {
        if (fscanf(file, "%lu", &bytes) != 1)
            bytes = 0;
        fclose(file);
    }
    return bytes > 0 ? bytes : (size_t)2 << 20;
}

size_t page_kind_bytes(enum page_kind kind) {
    switch (kind) {
    case PAGE_THP:
        return thp_bytes();
    case PAGE_2M:
        return (size_t)2 << 20;
    case PAGE_1G:
        return (size_t)1 << 30;
    case PAGE_BASE:
    case PAGE_KINDS:
        break;
    }
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t size_bytes, size_t page_bytes) {
    return (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
}

/* Ordinary pages aligned to `page_bytes`: what is mapped too much is given back. */
static void *map_aligned(size_t size_bytes, size_t page_bytes) {
    char *mapped = mmap(NULL, size_bytes + page_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        return NULL;
    size_t before = (page_bytes - (uintptr_t)mapped % page_bytes) % page_bytes;
    if (before > 0)
        munmap(mapped, before);
    munmap(mapped + before + size_bytes, page_bytes - before);
    return mapped + before;
}

static void *map_reserved(enum page_kind kind, size_t size_bytes) {
    unsigned shift = (unsigned)__builtin_ctzl(page_kind_bytes(kind));
    int flags =
        (int)((unsigned)(MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB) | shift << HUGE_SHIFT_BIT);
    void *mapped = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    return mapped == MAP_FAILED ? NULL : mapped;
}

/* Returns 0 or an errno. */
static int bind_to(void *memory, size_t size_bytes, int node) {
    unsigned long mask[PLACEMENT_NODES / (8 * sizeof(unsigned long))] = {0};
    size_t word_bits = 8 * sizeof *mask;
    mask[(size_t)node / word_bits] = 1ul << ((size_t)node % word_bits);
    return syscall(SYS_mbind, memory, size_bytes, MPOL_BIND, mask, PLACEMENT_NODES + 1, 0) == 0
               ? 0
               : errno;
}

void *page_kind_map(enum page_kind kind, size_t size_bytes, int node, const char **why) {
    bool reserved = kind == PAGE_2M || kind == PAGE_1G;
    size_bytes = round_up(size_bytes, page_kind_bytes(kind));
    void *memory =
        reserved ? map_reserved(kind, size_bytes) : map_aligned(size_bytes, page_kind_bytes(kind));
    if (memory == NULL) {
        *why = reserved ? "not enough such pages are reserved (sysfs, kernel/mm/hugepages)"
                        : strerror(errno);
        return NULL;
    }
    /* A kernel without transparent huge pages refuses either advice, and then has base pages. */
    if (!reserved &&
        madvise(memory, size_bytes, kind == PAGE_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) != 0 &&
        kind == PAGE_THP) {
        *why = "this kernel has no transparent huge pages";
        munmap(memory, size_bytes);
        return NULL;
    }
    int error = node >= 0 ? bind_to(memory, size_bytes, node) : 0;
    if (error == 0)
        return memory;
    munmap(memory, size_bytes);
    *why = error == EPERM    ? "mbind: not permitted here (a container's filter?)"
           : error == EINVAL ? "mbind: the kernel has no memory on that node"
                             : strerror(error);
    return NULL;
}

void page_kind_unmap(enum page_kind kind, void *memory, size_t size_bytes) {
    munmap(memory, round_up(size_bytes, page_kind_bytes(kind)));
}
