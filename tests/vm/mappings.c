/*
 * How many mappings a process has after N blocks of 1 MiB were allocated and freed at random: the
 * kernel's limit is 65,530 (vm.max_map_count). Prints TAP; exit status 1 at 2,000 mappings or more.
 */
#include "guest.h"

enum { LIVE_MAX = 300, BLOCK_BYTES = 1 << 20, MAPPINGS_MAX = 2000 };

static size_t count_mappings(void) {
    FILE *file = fopen("/proc/self/numa_maps", "r");
    size_t lines = 0;

    for (int c; file != NULL && (c = getc(file)) != EOF;)
        lines += c == '\n';
    if (file != NULL)
        fclose(file);
    return lines;
}

int main(int argc, char **argv) {
    static unsigned char *live[LIVE_MAX];
    size_t operations = argc == 2 ? strtoul(argv[1], NULL, 10) : 0, most = 0;
    uint64_t random = 88172645463325252;
    char promise[96];

    if (operations == 0) {
        fprintf(stderr, "usage: mappings BLOCKS\n");
        return 2;
    }
    for (size_t i = 0; i < operations; i++) {
        unsigned char **slot;

        random = random * 6364136223846793005 + 1442695040888963407; /* Knuth's MMIX */
        slot = &live[(random >> 33) % LIVE_MAX];
        free(*slot);
        *slot = malloc(BLOCK_BYTES);
        if (*slot == NULL) {
            printf("Bail out! malloc failed after %zu blocks\n", i);
            return 1;
        }
        **slot = 1;
        if (i % (operations / 10 + 1) == 0 || i == operations - 1) {
            size_t mappings = count_mappings();

            most = mappings > most ? mappings : most;
        }
    }
    snprintf(promise, sizeof promise, "%zu random blocks of 1 MiB need under %d mappings (%zu)",
             operations, MAPPINGS_MAX, most);
    report(most > 0 && most < MAPPINGS_MAX, promise);
    return failures != 0;
}
