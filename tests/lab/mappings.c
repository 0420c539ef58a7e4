/*
 * How many mappings a process has while blocks are allocated and freed at random: the kernel's
 * limit is vm.max_map_count. Prints TAP; exit status 1 at as many as the limit given, or more.
 */
#include "guest.h"

enum { LIVE_MAX = 300 };

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
    size_t operations = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
    size_t block_bytes = argc == 4 ? strtoul(argv[2], NULL, 10) << 20 : 0;
    size_t limit = argc == 4 ? strtoul(argv[3], NULL, 10) : 0, most = 0;
    uint64_t random = 88172645463325252;
    char promise[96];

    if (operations == 0 || block_bytes == 0 || limit == 0) {
        fprintf(stderr, "usage: mappings BLOCKS MIB_EACH LIMIT\n");
        return 2;
    }
    for (size_t i = 0; i < operations; i++) {
        unsigned char **slot;

        random = random * 6364136223846793005 + 1442695040888963407; /* Knuth's MMIX */
        slot = &live[(random >> 33) % LIVE_MAX];
        free(*slot);
        *slot = malloc(block_bytes);
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
    snprintf(promise, sizeof promise, "%zu random blocks of %zu MiB need under %zu mappings (%zu)",
             operations, block_bytes >> 20, limit, most);
    report(most > 0 && most < limit, promise);
    return failures != 0;
}
