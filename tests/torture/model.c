#include "model.h"

#include "calls.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct settings settings;
_Thread_local struct doing doing;

/* --- failures -------------------------------------------------------------------------------- */

static size_t describe_doing(char *line, size_t room) {
    int length =
        snprintf(line, room, "torture: FAILED: seed %llu, thread %u, operation %llu (%s)",
                 (unsigned long long)settings.seed, doing.worker,
                 (unsigned long long)doing.operation, doing.what != NULL ? doing.what : "start");
    size_t used = length > 0 ? (size_t)length : 0;
    const struct block *block = doing.block;
    if (block == NULL || used >= room)
        return used;
    length = snprintf(
        line + used, room - used, ", block %p of %zu bytes from thread %u, operation %llu (%s)",
        (void *)block->start, block->size_bytes, block->worker,
        (unsigned long long)block->operation, block->call != NULL ? block->call : "none");
    return used + (length > 0 ? (size_t)length : 0);
}

/* One call each, so that lines do not mix. The first failure is the one to look at. */
static void report_failure(const char *reason) {
    static atomic_flag reported = ATOMIC_FLAG_INIT;
    char line[1024];
    if (atomic_flag_test_and_set(&reported))
        for (;;)
            pause();
    size_t used = describe_doing(line, sizeof line);
    if (used < sizeof line) {
        int length = snprintf(line + used, sizeof line - used, ": %s\ntorture: again: %s\n", reason,
                              settings.again != NULL ? settings.again : "");
        used += length > 0 ? (size_t)length : 0;
    }
    if (used >= sizeof line)
        used = sizeof line - 1;
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written;
}

void fail(const char *format, ...) {
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    report_failure(reason);
    if (settings.aborts)
        abort();
    _exit(1);
}

static void crashed(int number) {
    char reason[32];
    snprintf(reason, sizeof reason, "ended by signal %d", number);
    report_failure(reason);
    raise(number); /* reset by SA_RESETHAND */
}

void report_crashes(void) {
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
    struct sigaction action = {.sa_handler = crashed, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
}

/* --- contents -------------------------------------------------------------------------------- */

/* Word i of a block is key + i * CONTENT_STEP: its own in every block and at every place. */
#define CONTENT_STEP CHANCE_STEP

void block_fill(const struct block *block) {
    uint64_t word = block->key;
    size_t whole = block->usable_bytes / sizeof word * sizeof word;
    for (size_t at = 0; at < whole; at += sizeof word, word += CONTENT_STEP)
        memcpy(block->start + at, &word, sizeof word);
    memcpy(block->start + whole, &word, block->usable_bytes - whole);
}

static void report_byte(const struct block *block, size_t at, unsigned expected) {
    doing.block = block;
    fail("byte %zu is 0x%02x, expected 0x%02x", at, block->start[at], expected);
}

/* Which byte of that piece differs. */
static void report_piece(const struct block *block, size_t from, size_t bytes) {
    for (size_t at = from; at < from + bytes; at++) {
        uint64_t word = block->key + at / sizeof word * CONTENT_STEP;
        unsigned char expected = ((const unsigned char *)&word)[at % sizeof word];
        if (block->start[at] != expected)
            report_byte(block, at, expected);
    }
    fail("contents differed, and then did not: another thread writes them");
}

void block_check_prefix(const struct block *block, size_t size_bytes) {
    uint64_t word = block->key;
    size_t at = 0;
    while (size_bytes - at >= sizeof word) {
        size_t from = at, end = size_bytes - at > 4 * KIB ? at + 4 * KIB : size_bytes;
        uint64_t differ = 0;
        for (; end - at >= sizeof word; at += sizeof word, word += CONTENT_STEP) {
            uint64_t found;
            memcpy(&found, block->start + at, sizeof found);
            differ |= found ^ word;
        }
        if (differ != 0)
            report_piece(block, from, at - from);
    }
    if (memcmp(block->start + at, &word, size_bytes - at) != 0)
        report_piece(block, at, size_bytes - at);
}

static void check_zero(const struct block *block, size_t size_bytes) {
    for (size_t at = 0; at < size_bytes; at++)
        if (block->start[at] != 0)
            report_byte(block, at, 0);
}

/* --- whose each byte is ---------------------------------------------------------------------- */

/* Addresses in chunks of 64 KiB, a bit for each 16 bytes; found by way of regions of 1 GiB. A chunk
 * that one block covers has no bits set, but `claims` WHOLE. Made when first needed, for ever. */
#define GRANULE      ((uintptr_t)16)
#define CHUNK_SHIFT  16
#define CHUNK_BYTES  ((uintptr_t)1 << CHUNK_SHIFT)
#define CHUNK_WORDS  (CHUNK_BYTES / GRANULE / 64)
#define REGION_SHIFT 30
#define ADDRESS_BITS 48
#define WHOLE        (-1)

struct chunk {
    _Atomic(int) claims;
    _Atomic(_Atomic(uint64_t) *) bits;
};

static _Atomic(struct chunk *) regions[1 << (ADDRESS_BITS - REGION_SHIFT)];

static void *map_zeroed(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "torture: no memory for the model\n");
        _exit(3);
    }
    return memory;
}

static struct chunk *chunk_of(uintptr_t address) {
    const size_t bytes = sizeof(struct chunk) << (REGION_SHIFT - CHUNK_SHIFT);
    if (address >> ADDRESS_BITS != 0)
        fail("address %#lx is none of a program's", (unsigned long)address);
    _Atomic(struct chunk *) *region = &regions[address >> REGION_SHIFT];
    struct chunk *chunks = atomic_load(region);
    if (chunks == NULL) {
        struct chunk *fresh = map_zeroed(bytes);
        if (atomic_compare_exchange_strong(region, &chunks, fresh))
            chunks = fresh;
        else
            munmap(fresh, bytes);
    }
    return &chunks[address >> CHUNK_SHIFT & (((size_t)1 << (REGION_SHIFT - CHUNK_SHIFT)) - 1)];
}

/* Bits of 64 chunks at a time: mmap gives no less than a page. */
static _Atomic(uint64_t) *bits_new(void) {
    static _Thread_local _Atomic(uint64_t) *spare;
    static _Thread_local size_t spare_chunks;
    if (spare_chunks == 0) {
        spare_chunks = 64;
        spare = map_zeroed(spare_chunks * CHUNK_WORDS * sizeof *spare);
    }
    _Atomic(uint64_t) *bits = spare;
    spare += CHUNK_WORDS;
    spare_chunks--;
    return bits;
}

static _Atomic(uint64_t) *chunk_bits(struct chunk *chunk) {
    _Atomic(uint64_t) *bits = atomic_load(&chunk->bits);
    if (bits != NULL)
        return bits;
    _Atomic(uint64_t) *fresh = bits_new();
    return atomic_compare_exchange_strong(&chunk->bits, &bits, fresh) ? fresh : bits;
}

/* The bits of [from, to) of a chunk that lie in one word. */
static uint64_t word_mask(size_t word, size_t from, size_t to) {
    size_t first = word * 64, low = from > first ? from - first : 0;
    size_t high = to < first + 64 ? to - first : 64;
    return (high == 64 ? ~UINT64_C(0) : (UINT64_C(1) << high) - 1) & ~UINT64_C(0) << low;
}

static bool chunk_claim(struct chunk *chunk, size_t from, size_t to) {
    int claims = 0;
    if (from == 0 && to == CHUNK_BYTES / GRANULE)
        return atomic_compare_exchange_strong(&chunk->claims, &claims, WHOLE);
    claims = atomic_load(&chunk->claims);
    do
        if (claims == WHOLE)
            return false;
    while (!atomic_compare_exchange_weak(&chunk->claims, &claims, claims + 1));
    _Atomic(uint64_t) *bits = chunk_bits(chunk);
    for (size_t word = from / 64; word * 64 < to; word++) {
        uint64_t mask = word_mask(word, from, to);
        if ((atomic_fetch_or(&bits[word], mask) & mask) != 0)
            return false;
    }
    return true;
}

static bool chunk_release(struct chunk *chunk, size_t from, size_t to) {
    int whole = WHOLE;
    if (from == 0 && to == CHUNK_BYTES / GRANULE)
        return atomic_compare_exchange_strong(&chunk->claims, &whole, 0);
    _Atomic(uint64_t) *bits = chunk_bits(chunk);
    for (size_t word = from / 64; word * 64 < to; word++) {
        uint64_t mask = word_mask(word, from, to);
        if ((atomic_fetch_and(&bits[word], ~mask) & mask) != mask)
            return false;
    }
    return atomic_fetch_sub(&chunk->claims, 1) > 0;
}

/* Does so for every chunk the block lies in; even an empty block has an address of its own. */
static void block_each_chunk(const struct block *block,
                             bool (*change)(struct chunk *, size_t, size_t), const char *mistake) {
    uintptr_t at = (uintptr_t)block->start;
    uintptr_t end = at + (block->usable_bytes == 0 ? 1 : block->usable_bytes);
    while (at < end) {
        uintptr_t chunk_start = at & ~(CHUNK_BYTES - 1), stop = chunk_start + CHUNK_BYTES;
        if (stop > end)
            stop = end;
        size_t from = (at - chunk_start) / GRANULE;
        size_t to = (stop - chunk_start + GRANULE - 1) / GRANULE;
        if (!change(chunk_of(at), from, to)) {
            doing.block = block;
            fail("%s, at byte %zu", mistake, (size_t)(at - (uintptr_t)block->start));
        }
        at = stop;
    }
}

void block_claim(const struct block *block) {
    block_each_chunk(block, chunk_claim, "overlaps a live block");
}

void block_release(const struct block *block) {
    block_each_chunk(block, chunk_release, "the model itself has lost count");
}

/* --- nodes ----------------------------------------------------------------------------------- */

static bool is_node(int node) {
    return node >= 0 && node < 64 && (settings.node_mask >> node & 1) != 0;
}

/* "bind:N" or "preferred:N": N; else NO_NODE. */
static int policy_node(void) {
    int node;
    char rest;
    if (sscanf(settings.policy, "bind:%d%c", &node, &rest) == 1 ||
        sscanf(settings.policy, "preferred:%d%c", &node, &rest) == 1)
        return node;
    return NO_NODE;
}

/* Whether na_node_of's answer is one the policy allows. A size just under the limit counts by its
 * class, an eighth above it at most, and by its alignment's multiple; with checks on one byte more
 * counts too. */
static bool node_allowed(const struct block *block, int node, int error) {
    size_t size = block->size_bytes;
    bool below = size < settings.min_size_bytes;
    size_t aligned = (size + block->alignment) & ~(block->alignment - 1);
    bool surely_below = below && aligned + aligned / 8 + 16 < settings.min_size_bytes;
    bool local = strcmp(settings.policy, "local") == 0;
    bool as_local = is_node(node) && (below || local);
    if (block->was_resized && is_node(node))
        return true;
    if (local || (surely_below && !block->was_resized))
        return as_local;
    int one = policy_node();
    if (one != NO_NODE)
        return node == one || as_local;
    if (strcmp(settings.policy, "none") == 0)
        return (node == -1 && error == ENODATA) || as_local;
    return is_node(node) || (node == -1 && error == EXDEV);
}

static void check_node(const struct block *block) {
    if (calls.na_node_of == NULL || settings.policy == NULL)
        return;
    int saved_errno = errno;
    errno = 0;
    int node = calls.na_node_of(block->start), error = errno;
    errno = saved_errno;
    if (block->named_node != NO_NODE ? node == block->named_node : node_allowed(block, node, error))
        return;
    doing.block = block;
    fail("na_node_of says node %d, errno %d; policy %s, asked for by name: node %d", node, error,
         settings.policy, block->named_node);
}

void block_check_pages(const struct block *block) {
    enum { NODES = 64 };
    size_t counts[NODES];
    if (calls.na_resident == NULL || calls.na_node_of == NULL || settings.policy == NULL ||
        strncmp(settings.policy, "bind:", 5) != 0 || block->usable_bytes == 0)
        return;
    int node = calls.na_node_of(block->start);
    /* Others are preferred, not bound: the kernel may spill. */
    if (node != policy_node() || node >= NODES)
        return;
    if (calls.na_resident(block->start, block->usable_bytes, counts, NODES) != NA_RESIDENT_OK)
        return;
    for (int other = 0; other < NODES; other++)
        if (other != node && counts[other] != 0) {
            doing.block = block;
            fail("%zu pages are on node %d, bound to node %d", counts[other], other, node);
        }
}

/* --- blocks ---------------------------------------------------------------------------------- */

void block_begin(struct block *block, size_t zeroed_bytes) {
    doing.block = block;
    if (((uintptr_t)block->start & (block->alignment - 1)) != 0)
        fail("not at a multiple of %zu", block->alignment);
    block->usable_bytes = calls.malloc_usable_size(block->start);
    if (block->usable_bytes < block->size_bytes)
        fail("malloc_usable_size says %zu", block->usable_bytes);
    check_node(block);
    block_claim(block);
    check_zero(block, zeroed_bytes);
    block_fill(block);
    doing.block = NULL;
}

void block_check(const struct block *block) {
    size_t usable_bytes = calls.malloc_usable_size(block->start);
    if (usable_bytes != block->usable_bytes) {
        doing.block = block;
        fail("malloc_usable_size was %zu and is %zu", block->usable_bytes, usable_bytes);
    }
    block_check_prefix(block, block->usable_bytes);
    check_node(block);
}

void block_end(const struct block *block) {
    block_check(block);
    block_release(block);
}
