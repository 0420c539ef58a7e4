#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "watch_pages.h"

#include <inttypes.h>
#include <string.h>

/* Columns of a row before its bar, and the longest bar. */
#define BEFORE_BAR  44
#define LONGEST_BAR 50

/* Room for a row: its fields at their longest, and the bar. */
#define ROW_TEXT 160

#define NAME_TEXT   16
#define CHANGE_TEXT 24

void watch_pages_show_nodes(struct watch_pages *watch, FILE *list) {
    unsigned first, last;
    do {
        if (fscanf(list, "%u", &first) != 1)
            return;
        if (fscanf(list, "-%u", &last) != 1)
            last = first;
        for (unsigned node = first; node <= last && node < PLACEMENT_NODES; node++)
            watch->shown[node] = true;
    } while (getc(list) == ',');
}

int watch_pages_look(struct watch_pages *watch, const void *data, size_t size_bytes) {
    watch->before = watch->now;
    placement_ask(data, size_bytes, &watch->now);
    if (watch->now.source == PLACEMENT_NOT_TOLD)
        return watch->now.error;
    if (watch->looks++ == 0)
        watch->before = watch->now;
    for (size_t node = 0; node < PLACEMENT_NODES; node++)
        watch->shown[node] = watch->shown[node] || watch->now.on_node[node] > 0;
    watch->nowhere_shown = watch->nowhere_shown || watch->now.nowhere > 0;
    return 0;
}

/* "+12", "-12", and nothing for no change. */
static const char *change_text(uint64_t now, uint64_t before, char text[CHANGE_TEXT]) {
    text[0] = '\0';
    if (now != before)
        snprintf(text, CHANGE_TEXT, "%c%" PRIu64, now > before ? '+' : '-',
                 now > before ? now - before : before - now);
    return text;
}

static void walk_text(const struct watch_pages_walk *walk, char *text, size_t size) {
    text[0] = '\0';
    if (walk->load_ns > 0)
        snprintf(text, size, "%.1f ns a load on CPU %u (node %u)", walk->load_ns, walk->cpu,
                 walk->node);
}

static void append_count(FILE *out, const char *name, uint64_t now, uint64_t before) {
    char text[CHANGE_TEXT];
    fprintf(out, " %s=%" PRIu64, name, now);
    if (now != before)
        fprintf(out, " (%s)", change_text(now, before, text));
}

void watch_pages_line(const struct watch_pages *watch, const struct watch_pages_walk *walk,
                      FILE *out) {
    char name[NAME_TEXT], walked[ROW_TEXT];
    fprintf(out, "watch: %.1f s", walk->elapsed_s);
    for (size_t node = 0; node < PLACEMENT_NODES; node++) {
        if (!watch->shown[node])
            continue;
        snprintf(name, sizeof name, "N%zu", node);
        append_count(out, name, watch->now.on_node[node], watch->before.on_node[node]);
    }
    if (watch->nowhere_shown)
        append_count(out, "nowhere", watch->now.nowhere, watch->before.nowhere);
    walk_text(walk, walked, sizeof walked);
    fprintf(out, "%s%s\n", walked[0] != '\0' ? ", " : "", walked);
}

/* Writes one line of the block over what stood there. */
static void rewrite_row(FILE *out, const char *text, unsigned columns) {
    fprintf(out, "\r%.*s\033[K\n", (int)columns - 1, text);
}

static void rewrite_count(const struct watch_pages *watch, FILE *out, unsigned columns,
                          const char *name, uint64_t now, uint64_t before) {
    char row[ROW_TEXT], change[CHANGE_TEXT], bar[LONGEST_BAR + 1];
    double share = watch->now.pages > 0 ? (double)now / (double)watch->now.pages : 0;
    unsigned room = columns - 1 - BEFORE_BAR;
    unsigned longest = room < LONGEST_BAR ? room : LONGEST_BAR;
    unsigned length = (unsigned)(share * longest + 0.5);
    memset(bar, '#', length);
    bar[length] = '\0';
    snprintf(row, sizeof row, "  %-7s %11" PRIu64 " %6.1f %% %11s   %s", name, now, 100 * share,
             change_text(now, before, change), bar);
    rewrite_row(out, row, columns);
}

static size_t block_lines(const struct watch_pages *watch) {
    size_t lines = 1;
    for (size_t node = 0; node < PLACEMENT_NODES; node++)
        lines += watch->shown[node];
    return lines + watch->nowhere_shown;
}

void watch_pages_rewrite(struct watch_pages *watch, const struct watch_pages_walk *walk, FILE *out,
                         unsigned columns, unsigned rows) {
    char name[NAME_TEXT], row[ROW_TEXT], walked[ROW_TEXT / 2];
    size_t lines = block_lines(watch);
    /* The cursor rests on one more line. */
    if (columns <= BEFORE_BAR || lines >= rows) {
        watch->lines = 0;
        watch_pages_line(watch, walk, out);
        return;
    }
    if (watch->lines > 0)
        fprintf(out, "\033[%zuA", watch->lines);
    walk_text(walk, walked, sizeof walked);
    snprintf(row, sizeof row, "watch: %7.1f s   %s", walk->elapsed_s, walked);
    rewrite_row(out, row, columns);
    for (size_t node = 0; node < PLACEMENT_NODES; node++) {
        if (!watch->shown[node])
            continue;
        snprintf(name, sizeof name, "N%zu", node);
        rewrite_count(watch, out, columns, name, watch->now.on_node[node],
                      watch->before.on_node[node]);
    }
    if (watch->nowhere_shown)
        rewrite_count(watch, out, columns, "nowhere", watch->now.nowhere, watch->before.nowhere);
    fputs("\033[J", out); /* what was typed, or a longer block's rest */
    watch->lines = lines;
}
