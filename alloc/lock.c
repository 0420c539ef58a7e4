/* A lock of one word that sleeps in the kernel when contended: no set-up, no destructor, and it can
 * be put back to "free" in the child of a fork. States as in Drepper, "Futexes Are Tricky",
 * mutex 2. */
#pragma once

#include "sys.c"

enum { LOCK_FREE = 0, LOCK_HELD = 1, LOCK_CONTENDED = 2 };

struct lock {
    _Atomic(uint32_t) word;
};

/* Set in a thread that holds every lock across its fork: other libraries' fork handlers may
 * allocate meanwhile, and what they would lock is theirs already. */
static __thread bool lock_holds_all __attribute__((tls_model("initial-exec")));

static slow_path void lock_wait(struct lock *lock) {
    if (lock_holds_all)
        return;
    for (int spin = 0; spin < 64; spin++) {
        uint32_t expected = LOCK_FREE;
        if (atomic_load_explicit(&lock->word, memory_order_relaxed) == LOCK_FREE &&
            atomic_compare_exchange_weak_explicit(&lock->word, &expected, LOCK_HELD,
                                                  memory_order_acquire, memory_order_relaxed))
            return;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    while (atomic_exchange_explicit(&lock->word, LOCK_CONTENDED, memory_order_acquire) != LOCK_FREE)
        sys_futex_wait(&lock->word, LOCK_CONTENDED);
}

static inline void lock_take(struct lock *lock) {
    uint32_t expected = LOCK_FREE;
    if (unlikely(!atomic_compare_exchange_strong_explicit(
            &lock->word, &expected, LOCK_HELD, memory_order_acquire, memory_order_relaxed)))
        lock_wait(lock);
}

static inline void lock_release(struct lock *lock) {
    if (unlikely(lock_holds_all))
        return;
    if (unlikely(atomic_exchange_explicit(&lock->word, LOCK_FREE, memory_order_release) ==
                 LOCK_CONTENDED))
        sys_futex_wake_one(&lock->word);
}

/* Only for the child of a fork, whose other threads do not exist. */
static void lock_reset(struct lock *lock) {
    atomic_store_explicit(&lock->word, LOCK_FREE, memory_order_relaxed);
}
