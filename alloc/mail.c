/* Blocks on their way home to another node. Freed one by one, each would cost two cache lines from
 * there, of the block and of its page's description; so a thread that follows its node collects the
 * numbers of what it frees for another one, and posts them together. Threads of that node free
 * them.
 */
#pragma once

#include "heap.c"

/* Letters waiting at a node. With more nobody seems to come by there: who posts then empties the
 * mailbox from afar, so that no memory waits for ever. */
#define MAILBOX_LETTERS_MAX 32

/* Made so many at a time, so that a thread's letters share few kernel pages with another's. */
#define LETTERS_MADE 32

/* Pushes a chain of letters. */
static void letters_push(_Atomic(struct letter *) *to, struct letter *first, struct letter *last) {
    last->next = atomic_load_explicit(to, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(to, &last->next, first, memory_order_release,
                                                  memory_order_relaxed))
        continue;
}

/* Takes all there are. */
static struct letter *letters_take(_Atomic(struct letter *) *from) {
    if (likely(atomic_load_explicit(from, memory_order_relaxed) == NULL))
        return NULL;
    return atomic_exchange_explicit(from, NULL, memory_order_acquire);
}

/* An empty letter from the thread's own, or returned to its node, or new; NULL without memory. */
static struct letter *letter_begin(struct thread *thread, struct pool *here) {
    if (thread->letters == NULL)
        thread->letters = letters_take(&here->letters);
    if (thread->letters == NULL) {
        struct letter *made = meta_allocate(LETTERS_MADE * sizeof *made);
        for (unsigned i = 0; made != NULL && i < LETTERS_MADE; i++) {
            made[i].next = thread->letters;
            thread->letters = &made[i];
        }
    }
    struct letter *letter = thread->letters;
    if (letter == NULL)
        return NULL;
    thread->letters = letter->next;
    letter->sender = here;
    letter->count = 0;
    return letter;
}

/* A free by a thread on the block's node, or in its place. */
static void free_at_home(const struct thread *thread, struct block *block) {
    struct page *page = page_of(segment_of(block), block);
    if (unlikely(page->heap == NULL))
        die_of_misuse("invalid pointer, or freed twice:", block);
    if (page->heap->thread == thread)
        page_free_own(page, block);
    else
        page_free_remote(page, block);
}

/* Frees what has come to a pool, and returns the letters empty. */
static __attribute__((noinline)) void mail_open(struct pool *pool, const struct thread *thread) {
    struct letter *letter = letters_take(&pool->mailbox), *next;
    for (; letter != NULL; letter = next) {
        next = letter->next;
        for (unsigned i = 0; i < letter->count; i++)
            free_at_home(thread,
                         (struct block *)(letter->window + letter->blocks[i] * BLOCK_ALIGNMENT));
        atomic_fetch_sub_explicit(&pool->mailbox_letters, 1, memory_order_relaxed);
        letters_push(&letter->sender->letters, letter, letter);
    }
}

static void mail_open_if_any(struct pool *pool, const struct thread *thread) {
    if (unlikely(atomic_load_explicit(&pool->mailbox, memory_order_relaxed) != NULL))
        mail_open(pool, thread);
}

/* Posts what the thread has for a pool. */
static void mail_post(struct thread *thread, struct pool *to) {
    if (thread->open_letters == NULL)
        return; /* there is no mail here */
    struct letter **open = &thread->open_letters[to - na.pools], *letter = *open;
    if (letter == NULL)
        return;
    *open = NULL;
    letters_push(&to->mailbox, letter, letter);
    if (atomic_fetch_add_explicit(&to->mailbox_letters, 1, memory_order_relaxed) >=
        MAILBOX_LETTERS_MAX)
        mail_open(to, thread);
}

/* Posts all the thread has: it ends, or memory is short. */
static void mail_post_all(struct thread *thread) {
    for (unsigned i = 0; i < na.node_count; i++)
        mail_post(thread, &na.pools[i]);
}

/* Frees a block of a page on another node, sooner or later, for a thread whose heap has a table of
 * its node's segments. False when there is no memory for a letter. */
static bool mail_send(struct heap *heap, struct pool *to, void *block) {
    struct thread *thread = heap->thread;
    uintptr_t window = (uintptr_t)block & ~(LETTER_WINDOW_BYTES - 1);
    if (thread->open_letters == NULL)
        return false;
    struct letter **open = &thread->open_letters[to - na.pools];
    if (*open != NULL && ((*open)->count == LETTER_BLOCKS || (*open)->window != window))
        mail_post(thread, to);
    if (*open == NULL) {
        *open = letter_begin(thread, heap->pool);
        if (*open == NULL)
            return false;
        (*open)->window = window;
    }
    struct letter *letter = *open;
    letter->blocks[letter->count++] = (uint32_t)(((uintptr_t)block - window) / BLOCK_ALIGNMENT);
    return true;
}
