/* misuse KIND: misuses malloc in one way, then looks at what is left. `misuse list` prints every
 * KIND. The process is stopped by the allocator, or ends with one of enum verdict. */
#include "misuse.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BLOCKS = 40000, FILL = 0x5a };

static struct {
    unsigned char *blocks[64];
    size_t size_bytes, count;
} bystanders;

static const struct kind *const lists[] = {frees, writes, reads};

void *hide(const void *pointer) {
    void *volatile hidden = (void *)(uintptr_t)pointer;
    return hidden;
}

size_t hide_size(size_t size) {
    volatile size_t hidden = size;
    return hidden;
}

unsigned char *written(size_t size_bytes) {
    unsigned char *block = malloc(hide_size(size_bytes));
    if (block == NULL) {
        perror("misuse: malloc");
        exit(EXIT_FAILURE);
    }
    memset(block, FILL, size_bytes);
    return block;
}

/* A block's number at both of its ends. */
static void stamp(unsigned char *block, size_t size_bytes, uint64_t number) {
    memcpy(block, &number, sizeof number);
    memcpy(block + size_bytes - sizeof number, &number, sizeof number);
}

static bool stamped(const unsigned char *block, size_t size_bytes, uint64_t number) {
    return memcmp(block, &number, sizeof number) == 0 &&
           memcmp(block + size_bytes - sizeof number, &number, sizeof number) == 0;
}

void bystanders_make(size_t size_bytes) {
    bystanders.size_bytes = size_bytes;
    bystanders.count = size_bytes >= HUGE ? 2 : 64;
    for (size_t i = 0; i < bystanders.count; i++)
        bystanders.blocks[i] = written(size_bytes);
}

bool bystanders_whole(void) {
    for (size_t i = 0; i < bystanders.count; i++)
        for (size_t at = 0; at < bystanders.size_bytes; at++)
            if (bystanders.blocks[i][at] != FILL)
                return false;
    return true;
}

size_t churn_count(size_t size_bytes) {
    return size_bytes >= HUGE     ? 4
           : size_bytes >= LARGE  ? 200
           : size_bytes >= MEDIUM ? 2000
                                  : MAX_BLOCKS;
}

bool heap_sound(size_t size_bytes) {
    static unsigned char *blocks[MAX_BLOCKS];
    size_t count = churn_count(size_bytes);
    bool sound = true;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = malloc(hide_size(size_bytes));
        if (blocks[i] == NULL)
            return false;
        stamp(blocks[i], size_bytes, i);
    }
    for (size_t i = 0; i < count; i++)
        sound = sound && stamped(blocks[i], size_bytes, i);
    sound = sound && bystanders_whole();
    if (!sound)
        return false; /* freeing now would be misuse of our own */
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    for (size_t i = 0; i < bystanders.count; i++)
        free(bystanders.blocks[i]);
    bystanders.count = 0;
    return true;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("usage: misuse KIND, or misuse list\n", stderr);
        return EXIT_FAILURE;
    }
    bool found = false;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const struct kind *kind = lists[i]; kind->name != NULL; kind++)
            if (strcmp(argv[1], "list") == 0) {
                puts(kind->name);
                found = true;
            } else if (strcmp(argv[1], kind->name) == 0) {
                _Exit((int)kind->try(kind));
            }
    if (!found)
        fprintf(stderr, "misuse: there is no kind '%s'; misuse list prints all\n", argv[1]);
    return found ? EXIT_SUCCESS : EXIT_FAILURE;
}
