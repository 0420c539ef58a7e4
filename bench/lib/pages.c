#include "pages.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

/* A mapping's lines, as far as read. */
struct mapping {
    uint64_t overlap_bytes; /* with the range asked about; 0: not a mapping of it */
    uint64_t page_bytes, resident_bytes, huge_bytes;
};

static void add_mapping(const struct mapping *mapping, uint64_t page_bytes,
                        struct pages_tally *tally) {
    if (mapping->overlap_bytes == 0)
        return;
    if (page_bytes == 0) {
        tally->bytes += mapping->resident_bytes;
        tally->in_force += mapping->huge_bytes;
        return;
    }
    tally->bytes += mapping->overlap_bytes;
    tally->in_force += mapping->page_bytes == page_bytes ? mapping->overlap_bytes : 0;
}

static uint64_t overlap(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end) {
    uint64_t first = start > other_start ? start : other_start;
    uint64_t last = end < other_end ? end : other_end;
    return last > first ? last - first : 0;
}

/* "Rss:  12 kB" as bytes; false for any other line. */
static bool read_size(const char *line, const char *key, uint64_t *bytes) {
    size_t length = strlen(key);
    if (strncmp(line, key, length) != 0 || line[length] != ':')
        return false;
    *bytes = strtoull(line + length + 1, NULL, 10) * 1024;
    return true;
}

bool pages_add(FILE *smaps, uintptr_t start, size_t size_bytes, const char *pages,
               struct pages_tally *tally) {
    uint64_t page_bytes = 0;
    if (strcmp(pages, "thp") != 0 && !units_parse_size(pages, &page_bytes))
        return false;
    struct mapping mapping = {0};
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    rewind(smaps);
    while (getline(&line, &room, smaps) > 0) {
        uint64_t first, end;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &first, &end) == 2) {
            add_mapping(&mapping, page_bytes, tally);
            mapping = (struct mapping){overlap(start, start + size_bytes, first, end), 0, 0, 0};
            found = found || mapping.overlap_bytes > 0;
        } else if (!read_size(line, "KernelPageSize", &mapping.page_bytes) &&
                   !read_size(line, "Rss", &mapping.resident_bytes)) {
            (void)read_size(line, "AnonHugePages", &mapping.huge_bytes);
        }
    }
    add_mapping(&mapping, page_bytes, tally);
    free(line);
    return found;
}

const char *pages_in_force(const struct pages_tally *tally, const char *pages) {
    if (tally->in_force == 0)
        return "default";
    return (double)tally->in_force >= PAGES_ENOUGH * (double)tally->bytes ? pages : "mixed";
}
