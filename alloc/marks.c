/* What NUMA_ALLOC_CHECKS=on writes into blocks, and looks for again: the link of a free one,
 * encoded and sealed; poison in the rest of it; a canary behind the bytes asked for. Free lists are
 * after mimalloc's secure mode, the rest after hardened_malloc, whose canaries and checks at reuse
 * are described in its README. */
#pragma once

#include "misuse.c"

/* A freed block of a page is all poison, which is checked when it is handed out again. Of one that
 * is fresh, and was perhaps never touched, and of a freed span, this much is. */
#define FRESH_POISON_BYTES_MAX 128
#define SPAN_POISON_BYTES_MAX  (1 * MIB)
#define SPAN_POISON_PAGES_MAX  (SPAN_POISON_BYTES_MAX / (4 * KIB))

/* Multiplying by it takes each bit into all higher ones: Fibonacci hashing, Knuth 6.4. */
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static void marks_set_up(void) {
    sys_random(na.secrets, sizeof na.secrets);
}

/* --- links --------------------------------------------------------------------------------- */

/* A block on a free list was written to. */
__attribute__((noreturn)) static slow_path void die_of_late_write(const void *block);

/* Multiplying by an odd number loses nothing: to another link belongs another seal. */
static inline uintptr_t block_seal(const struct block *block, uintptr_t link) {
    return ((uintptr_t)block + (link ^ na.secrets[1])) * GOLDEN;
}

/* Links a free block to the next one of its list. */
static inline void block_link(struct block *block, struct block *next) {
    if (likely(!na.config.checks)) {
        block->next = next;
        return;
    }
    uintptr_t link = (uintptr_t)next ^ na.secrets[0];
    block->next = (struct block *)link;
    block->seal = block_seal(block, link);
}

/* The block after a free one. */
static inline struct block *block_next(const struct block *block) {
    uintptr_t link = (uintptr_t)block->next;
    if (likely(!na.config.checks))
        return (struct block *)link;
    if (unlikely(block->seal != block_seal(block, link)))
        die_of_late_write(block);
    return (struct block *)(link ^ na.secrets[0]);
}

/* --- poison -------------------------------------------------------------------------------- */

/* As no pointer and no count looks: the top bits make it an address that faults. */
static inline uint64_t poison_word(void) {
    return na.secrets[2] | UINT64_C(0xf0f0000000000001);
}

/* Where the poison of a block that was never handed out ends; it begins behind the link. */
static inline size_t fresh_poison_end(size_t block_bytes) {
    return block_bytes < FRESH_POISON_BYTES_MAX ? block_bytes : FRESH_POISON_BYTES_MAX;
}

/* Two words; blocks and their poison begin and end at multiples of it. */
typedef uint64_t poison_unit __attribute__((vector_size(16), may_alias));

static inline void poison_put(void *block, size_t begin, size_t end) {
    const poison_unit poison = {poison_word(), poison_word()};
    for (size_t at = begin; at < end; at += sizeof poison)
        *(poison_unit *)((uintptr_t)block + at) = poison;
}

/* Whether `word` is all there is from `begin` to `end`; the compiler makes it as wide as it can. */
static inline bool is_filled(const void *block, size_t begin, size_t end, uint64_t word) {
    const poison_unit wanted = {word, word};
    poison_unit differences = {0, 0};
    for (size_t at = begin; at < end; at += sizeof wanted)
        differences |= *(const poison_unit *)((uintptr_t)block + at) ^ wanted;
    return (differences[0] | differences[1]) == 0;
}

static inline bool poison_is_whole(const void *block, size_t begin, size_t end) {
    return is_filled(block, begin, end, poison_word());
}

/* --- canary -------------------------------------------------------------------------------- */

/* One byte, repeated: never 0, since what is written past an end most often is the 0 of a string.
 */
static inline uint64_t canary_word(const void *block) {
    uint64_t mixed = (uintptr_t)block >> 4 ^ (uintptr_t)block >> 11 ^ na.secrets[3];
    return ((mixed & 0xff) | 1) * UINT64_C(0x0101010101010101);
}

static inline uint64_t load_word(const void *at) {
    uint64_t word;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
}

/* Fills the first and the last eight of the `slack` bytes (at least one) that end a block of a
 * page; `end` is where the block ends. */
static inline void canary_put(const void *block, char *end, size_t slack) {
    uint64_t word = canary_word(block);
    if (slack >= sizeof word) {
        __builtin_memcpy(end - slack, &word, sizeof word);
    } else {
        uint64_t kept = ~UINT64_C(0) >> 8 * slack; /* little-endian: the bytes before the slack */
        word = (word & ~kept) | (load_word(end - sizeof word) & kept);
    }
    __builtin_memcpy(end - sizeof word, &word, sizeof word);
}

static inline bool canary_is_whole(const void *block, const char *end, size_t slack) {
    uint64_t word = canary_word(block);
    uint64_t last = load_word(end - sizeof word) ^ word;
    if (slack >= sizeof word)
        return (last | (load_word(end - slack) ^ word)) == 0;
    return last >> 8 * (sizeof word - slack) == 0;
}
