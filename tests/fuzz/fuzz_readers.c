/* What the benchmarks read from /proc: numa_maps, smaps, vmstat, stat, and lists of nodes. */
#include "bench/lib/migration.h"
#include "bench/lib/pages.h"
#include "bench/lib/placement.h"
#include "bench/lib/preflight.h"
#include "bench/lib/watch_pages.h"

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static FILE *open_text(char *text, size_t length) {
    FILE *file = fmemopen(text, length == 0 ? 1 : length, "r");
    fuzz_expect(file != NULL);
    return file;
}

static void read_maps(char *text, size_t length, uintptr_t start, size_t size_bytes) {
    struct placement placement = {0};
    struct pages_tally tally = {0};
    uintptr_t starts[4];
    FILE *file = open_text(text, length);
    bool found = placement_read_numa_maps(file, start, size_bytes, &placement);
    size_t mappings = placement_mappings(file, start, size_bytes, starts, 4);
    fuzz_expect(found == (mappings > 0));
    for (size_t i = 0; i < mappings && i < 4; i++)
        fuzz_expect(starts[i] < start + size_bytes);
    for (size_t i = 0; i < 3; i++)
        (void)pages_add(file, start, size_bytes, (const char *const[]){"thp", "2M", "1G"}[i],
                        &tally);
    fclose(file);
}

static void read_others(char *text, size_t length, const char *before) {
    struct preflight_activity activity = {0};
    uint64_t counters[MIGRATION_COUNTERS] = {0};
    struct watch_pages *watch = calloc(1, sizeof *watch);
    FILE *file = open_text(text, length);
    fuzz_expect(watch != NULL);
    migration_read_counters(file, counters);
    rewind(file);
    watch_pages_show_nodes(watch, file);
    fclose(file);
    free(watch);
    if (preflight_compare_stat(before, text, &activity))
        for (size_t i = 0; i < activity.count; i++)
            fuzz_expect(activity.cpus[i].busy >= 0 && activity.cpus[i].busy <= 1 &&
                        activity.cpus[i].stolen >= 0 && activity.cpus[i].stolen <= 1);
    free(activity.cpus);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static char text[16384], before[16384];
    uint8_t at = 0;
    if (size > 0)
        at = *bytes++, size--;
    (void)fuzz_text(&bytes, &size, text, sizeof text);
    (void)fuzz_text(&bytes, &size, before, sizeof before);
    read_maps(text, strlen(text), (uintptr_t)at << 12, (size_t)1 << at % 40);
    read_others(text, strlen(text), before);
    return 0;
}
