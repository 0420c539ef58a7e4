/* Blocks on their way home to another thread's pages. Freed one by one, each would cost two cache
 * lines that thread keeps changing, and an atomic operation on one of them; on another node, remote
 * ones. So a thread collects the numbers of what it frees for another one, and posts them together;
 * the owner frees them as its own. After snmalloc's message passing (Lietar et al., "snmalloc: a
 * message passing allocator", ISMM 2019), with the messages apart from the blocks. */
#pragma once

#include "heap.c"

/* Letters waiting for a thread. With more it seems not to come by: who posts then frees them in its
 * place, so that no memory waits for ever. */
#define MAILBOX_LETTERS_MAX 32

/* An open letter makes way for one to another thread from this many blocks on. */
#define LETTER_BLOCKS_WORTH 8

/* Made so many at a time, so that a thread's letters share few kernel pages with another's. */
#define LETTERS_MADE 32

static void letter_push(_Atomic(struct letter *) *to, struct letter *letter) {
    letter->next = atomic_load_explicit(to, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(to, &letter->next, letter, memory_order_release,
                                                  memory_order_relaxed))
        continue;
}

/* Takes all there are. */
static struct letter *letters_take(_Atomic(struct letter *) *from) {
    if (likely(atomic_load_explicit(from, memory_order_relaxed) == NULL))
        return NULL;
    return atomic_exchange_explicit(from, NULL, memory_order_acquire);
}

/* An empty letter: one the thread has, or that was returned to it, or a new one; NULL without
 * memory. */
static struct letter *letter_begin(struct thread *thread, uintptr_t window) {
    if (thread->letters == NULL)
        thread->letters = letters_take(&thread->returned);
    if (thread->letters == NULL) {
        struct letter *made = meta_allocate(LETTERS_MADE * sizeof *made);
        for (unsigned i = 0; made != NULL && i < LETTERS_MADE; i++) {
            made[i].from = thread;
            made[i].next = thread->letters;
            thread->letters = &made[i];
        }
    }
    struct letter *letter = thread->letters;
    if (letter == NULL)
        return NULL;
    thread->letters = letter->next;
    letter->window = window;
    letter->count = 0;
    return letter;
}

/* Frees what has come for `owner`. `thread`, which does so, is the owner itself, or holds it while
 * it is an orphan, or acts in its place. */
static __attribute__((noinline)) void mail_open(struct thread *owner, const struct thread *thread) {
    struct letter *letter = letters_take(&owner->mailbox), *next;
    for (; letter != NULL; letter = next) {
        next = letter->next;
        for (unsigned i = 0; i < letter->count; i++) {
            struct block *block =
                (struct block *)(letter->window + letter->blocks[i] * BLOCK_ALIGNMENT);
            struct page *page = page_of(segment_of(block), block);
            if (unlikely(page->heap == NULL))
                die_of_misuse("free of an invalid pointer, or double free", block);
            if (unlikely(page->heap->thread != thread))
                page_free_remote(page, block);
            else if (unlikely(na.config.checks))
                page_take_back(page, block);
            else
                page_free_own(page, block);
        }
        atomic_fetch_sub_explicit(&owner->mailbox_letters, 1, memory_order_relaxed);
        letter_push(&letter->from->returned, letter);
    }
}

/* Opens the thread's own mail. */
static void thread_open_mail(struct thread *thread) {
    if (unlikely(atomic_load_explicit(&thread->mailbox, memory_order_relaxed) != NULL))
        mail_open(thread, thread);
}

/* Posts an open letter, if there is one. */
static void mail_post(struct thread *thread, struct open_letter *open) {
    struct letter *letter = open->letter;
    if (letter == NULL)
        return;
    open->letter = NULL;
    letter_push(&open->to->mailbox, letter);
    if (atomic_fetch_add_explicit(&open->to->mailbox_letters, 1, memory_order_relaxed) >=
        MAILBOX_LETTERS_MAX)
        mail_open(open->to, thread);
}

/* Posts all the thread has begun: it ends, or memory is short, or it is time to. */
static void thread_post_mail(struct thread *thread) {
    for (unsigned i = 0; i < OPEN_LETTERS; i++)
        mail_post(thread, &thread->open_letters[i]);
}

/* Frees another thread's block, sooner or later. False: it must be freed otherwise, because others'
 * letters are open and hardly begun, or for want of memory. */
static bool mail_send(struct thread *thread, struct thread *to, const void *block) {
    const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15); /* Fibonacci hashing, Knuth 6.4 */
    unsigned at = (unsigned)((uintptr_t)to * golden >> 32) % OPEN_LETTERS;
    struct open_letter *open = &thread->open_letters[at];
    uintptr_t window = (uintptr_t)block & ~(LETTER_WINDOW_BYTES - 1);
    if (unlikely(open->letter == NULL || open->to != to || open->letter->window != window)) {
        if (open->letter != NULL && open->letter->count < LETTER_BLOCKS_WORTH)
            return false;
        mail_post(thread, open);
        open->to = to;
        open->letter = letter_begin(thread, window);
        if (open->letter == NULL)
            return false;
    }
    struct letter *letter = open->letter;
    uint32_t number = (uint32_t)(((uintptr_t)block - window) / BLOCK_ALIGNMENT);
    if (unlikely(letter->count != 0 && letter->blocks[letter->count - 1] == number))
        die_of_misuse("double free", block);
    letter->blocks[letter->count++] = number;
    if (unlikely(letter->count == LETTER_BLOCKS))
        mail_post(thread, open);
    return true;
}
