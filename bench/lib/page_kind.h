/* Memory in pages of a chosen size, mapped directly: malloc has no say in it. */
#ifndef BENCH_PAGE_KIND_H
#define BENCH_PAGE_KIND_H

#include <stdbool.h>
#include <stddef.h>

enum page_kind {
    PAGE_BASE, /* the kernel's ordinary ones, never joined to huge pages */
    PAGE_THP,  /* transparent huge pages where the kernel can */
    PAGE_2M,   /* reserved huge pages */
    PAGE_1G,
    PAGE_KINDS
};

/* As on command lines and in the CSV: "base", "thp", "2M", "1G". */
const char *page_kind_name(enum page_kind kind);

/* Reads such a name. False for anything else. */
bool page_kind_parse(const char *name, size_t length, enum page_kind *kind);

/* Bytes of a page of the kind; a transparent huge page's is what the kernel says, or 2 MiB where it
 * does not. */
size_t page_kind_bytes(enum page_kind kind);

/* Maps at least size_bytes, untouched, aligned to such a page; bound to the node unless that is
 * negative. NULL with the reason in *why (static text). */
void *page_kind_map(enum page_kind kind, size_t size_bytes, int node, const char **why);

void page_kind_unmap(enum page_kind kind, void *memory, size_t size_bytes);

#endif
