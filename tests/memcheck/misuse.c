/* One mistake of a program, by name, with a block of a size: memcheck must find it. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *volatile block; /* static, and NULL at the end: nothing else leads to the block */
static volatile char sink;

static void drop(void) {
    free(block);
    block = NULL;
}

static void make_none(size_t size) {
    char *zeroes = calloc(2, size);
    block = realloc(block, size * 2);
    memset(block, 2, size * 2);
    sink = zeroes[size - 1] != 0 ? zeroes[0] : block[0];
    free(zeroes);
    drop();
}

static void make_overrun(size_t size) {
    sink = block[size];
    drop();
}

static void make_overwrite(size_t size) {
    block[size - 1] = 7;
    block[size] ^= 0; /* what was there, so that nothing breaks */
    drop();
}

static void make_late(size_t size) {
    char *freed = block;
    drop();
    sink = freed[size / 2];
}

static void make_blank(size_t size) {
    char *fresh = realloc(malloc(size), size + size / 2);
    if (fresh[size / 3] == 5)
        puts("five");
    free(fresh);
    drop();
}

/* Several: the one that a segment begins with counts as reachable (alloc/memcheck.c). */
static void make_leak(size_t size) {
    for (int i = 0; i < 4; i++)
        block = malloc(size);
    block = NULL;
}

static void make_named(size_t size) {
    void *found = dlsym(RTLD_DEFAULT, "na_malloc_on"), *(*malloc_on)(int, size_t);
    memcpy(&malloc_on, &found, sizeof found);
    drop();
    block = malloc_on(0, size);
    if (block != NULL)
        make_overrun(size);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*make)(size_t);
    } mistakes[] = {{"none", make_none},  {"overrun", make_overrun}, {"overwrite", make_overwrite},
                    {"late", make_late},  {"blank", make_blank},     {"leak", make_leak},
                    {"named", make_named}};
    size_t size = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    for (size_t i = 0; size > 0 && i < sizeof mistakes / sizeof *mistakes; i++)
        if (strcmp(argv[1], mistakes[i].name) == 0) {
            block = malloc(size);
            memset(block, 1, size);
            mistakes[i].make(size);
            puts("done");
            return 0;
        }
    return 2;
}
