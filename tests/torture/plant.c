/* A library that goes wrong on purpose, preloaded before the allocator: the torture must see it.
 * TORTURE_PLANT names what goes wrong once the program has allocated PLANT_AFTER blocks. */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLANT_AFTER = 20000, KEPT = 64 };

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*memalign)(size_t, size_t);
    void (*free)(void *);
    size_t (*usable)(void *);
    int (*node_of)(const void *);
} next;

static const char *planted = "";
static pid_t parent;
static _Atomic(unsigned) allocated;
static _Atomic(unsigned char *) kept[KEPT]; /* live blocks of 64 bytes and more */

static void find(void *pointer, const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(pointer, &found, sizeof found);
}

__attribute__((constructor)) static void set_up(void) {
    find(&next.malloc, "malloc");
    find(&next.calloc, "calloc");
    find(&next.realloc, "realloc");
    find(&next.memalign, "memalign");
    find(&next.free, "free");
    find(&next.usable, "malloc_usable_size");
    find(&next.node_of, "na_node_of");
    parent = getpid();
    const char *name = getenv("TORTURE_PLANT");
    planted = name != NULL ? name : "";
}

static bool is_due(const char *name) {
    return strcmp(planted, name) == 0 && atomic_load(&allocated) > PLANT_AFTER;
}

/* Before the constructors: libraries allocate. */
static void ready(void) {
    if (next.malloc == NULL)
        set_up();
}

static _Atomic(unsigned char *) *place_of(const void *block) {
    return &kept[(uintptr_t)block / 16 % KEPT];
}

static unsigned char *any_kept(void) {
    for (unsigned i = 0; i < KEPT; i++) {
        unsigned char *block = atomic_load(&kept[i]);
        if (block != NULL)
            return block;
    }
    return NULL;
}

static void *note(void *block, size_t size) {
    atomic_fetch_add(&allocated, 1);
    if (block != NULL && size >= 64)
        atomic_store(place_of(block), block);
    return block;
}

static void forget(void *block) {
    unsigned char *expected = block;
    if (block != NULL)
        (void)atomic_compare_exchange_strong(place_of(block), &expected, NULL);
}

void *malloc(size_t size) {
    ready();
    unsigned char *live = any_kept();
    if (live != NULL && is_due("flip"))
        live[33] ^= 1;
    if (live != NULL && getpid() != parent && is_due("child"))
        live[7] ^= 0x80;
    if (live != NULL && size <= 32 && size > 0 && is_due("twice"))
        return live;
    if (live != NULL && size <= 32 && size > 0 && is_due("inside"))
        return live + 16;
    if (size == 17 && is_due("refused")) {
        errno = ENOMEM;
        return NULL;
    }
    while (is_due("hang"))
        pause();
    return note(next.malloc(size), size);
}

void *calloc(size_t count, size_t size) {
    ready();
    unsigned char *block = next.calloc(count, size);
    if (block != NULL && count * size > 20 && is_due("dirty"))
        block[count * size - 1] = 1;
    return note(block, count * size);
}

void *realloc(void *old, size_t size) {
    ready();
    forget(old);
    unsigned char *block = next.realloc(old, size);
    if (block != NULL && old != NULL && size > 40 && is_due("lost"))
        memset(block + 8, 0, 8);
    return note(block, size);
}

void *memalign(size_t alignment, size_t size) {
    ready();
    unsigned char *block = next.memalign(alignment, size + 16);
    bool moved = block != NULL && alignment > 16 && is_due("unaligned");
    return note(moved ? block + 16 : block, size);
}

void free(void *block) {
    ready();
    forget(block);
    if (is_due("leak") && (uintptr_t)block / 16 % 16 == 0)
        return;
    next.free(block);
    if (is_due("errno"))
        errno = EBADF;
}

void cfree(void *block);
void cfree(void *block) {
    free(block);
}

void free_sized(void *block, size_t size);
void free_sized(void *block, size_t size) {
    (void)size;
    free(block);
}

size_t malloc_usable_size(void *block) {
    ready();
    size_t bytes = next.usable(block);
    return bytes > 100 && is_due("short") ? bytes / 2 : bytes;
}

int na_node_of(const void *block);
int na_node_of(const void *block) {
    ready();
    return is_due("node") ? 60 : next.node_of(block);
}
