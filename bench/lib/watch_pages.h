/* Where the pages of a block are, shown again and again while its owner goes on using it: a few
 * lines that a terminal rewrites, or a line a look anywhere else. */
#ifndef BENCH_WATCH_PAGES_H
#define BENCH_WATCH_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "placement.h"

/* Where Linux lists the nodes that have memory ("0-1,4"). */
#define WATCH_PAGES_NODES_FILE "/sys/devices/system/node/has_memory"

/* Starts zeroed. A node once shown stays shown, or the lines below it would jump. */
struct watch_pages {
    struct placement now, before;
    size_t looks;
    bool shown[PLACEMENT_NODES];
    bool nowhere_shown;
    size_t lines; /* of the block that a terminal shows now; 0: none */
};

/* How the memory's user fares meanwhile; it is shown with the pages. */
struct watch_pages_walk {
    double elapsed_s;
    double load_ns; /* one load on average since the last look; 0: none was timed */
    unsigned cpu, node;
};

/* Shows nodes that have no page yet as well: those of such a list. Stops at what is no list. */
void watch_pages_show_nodes(struct watch_pages *watch, FILE *list);

/* Asks where the pages are (placement_ask). Returns 0, or the errno when the kernel would not say.
 */
int watch_pages_look(struct watch_pages *watch, const void *data, size_t size_bytes);

/* Appends one line: pages on each node, in brackets the change since the look before. */
void watch_pages_line(const struct watch_pages *watch, const struct watch_pages_walk *walk,
                      FILE *out);

/* Rewrites the block of lines that it wrote last: for each node pages, share, change and a bar.
 * Appends a line instead when a terminal of that size has no room for the block. */
void watch_pages_rewrite(struct watch_pages *watch, const struct watch_pages_walk *walk, FILE *out,
                         unsigned columns, unsigned rows);

#endif
