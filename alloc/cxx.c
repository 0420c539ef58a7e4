/* C++ operator new and delete, defined from C by their symbol names (Itanium C++ ABI). libstdc++'s
 * own would reach malloc too; these save the hop and serve programs that link another run-time. */
#pragma once

#include "entry.c"

/* std::get_new_handler() and std::__throw_bad_alloc(), there when a C++ run-time is loaded. */
typedef void (*new_handler)(void);
__attribute__((weak)) new_handler _ZSt15get_new_handlerv(void);
__attribute__((weak, noreturn)) void _ZSt17__throw_bad_allocv(void);

/* [new.delete.single]: calls the new-handler until memory is found or there is no handler. The
 * forms that do not throw return NULL at once instead: a handler may throw, which C cannot catch,
 * and which would end the program on its way out of them. */
static slow_path void *new_retry(size_t alignment, size_t size, bool throws) {
    while (throws) {
        new_handler handler = _ZSt15get_new_handlerv != NULL ? _ZSt15get_new_handlerv() : NULL;
        if (handler == NULL) {
            if (_ZSt17__throw_bad_allocv != NULL)
                _ZSt17__throw_bad_allocv();
            die_of_misuse("operator new: no memory, and no C++ run-time to throw with", NULL);
        }
        handler();
        void *block = na_aligned(alignment, size);
        if (block != NULL)
            return block;
    }
    return NULL;
}

entry_point void *new_aligned(size_t size, size_t alignment, bool throws) {
    void *block = na_aligned(alignment, size);
    return likely(block != NULL) ? block : new_retry(alignment, size, throws);
}

entry_point void *new_block(size_t size, bool throws) {
    return new_aligned(size, 1, throws);
}

/* Each form of new: plain and array, each throwing and not, each with and without an alignment. */
exported void *_Znwm(size_t size);
exported void *_Znwm(size_t size) {
    return new_block(size, true);
}
exported void *_Znam(size_t size);
exported void *_Znam(size_t size) {
    return new_block(size, true);
}
exported void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow);
exported void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow) {
    (void)nothrow;
    return new_block(size, false);
}
exported void *_ZnamRKSt9nothrow_t(size_t size, const void *nothrow);
exported void *_ZnamRKSt9nothrow_t(size_t size, const void *nothrow) {
    (void)nothrow;
    return new_block(size, false);
}
exported void *_ZnwmSt11align_val_t(size_t size, size_t alignment);
exported void *_ZnwmSt11align_val_t(size_t size, size_t alignment) {
    return new_aligned(size, alignment, true);
}
exported void *_ZnamSt11align_val_t(size_t size, size_t alignment);
exported void *_ZnamSt11align_val_t(size_t size, size_t alignment) {
    return new_aligned(size, alignment, true);
}
exported void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment,
                                                  const void *nothrow);
exported void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment,
                                                  const void *nothrow) {
    (void)nothrow;
    return new_aligned(size, alignment, false);
}
exported void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment,
                                                  const void *nothrow);
exported void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment,
                                                  const void *nothrow) {
    (void)nothrow;
    return new_aligned(size, alignment, false);
}

/* Each form of delete is free. Alignments, passed on in registers, are known from the address;
 * sizes are only looked at with checks on. */
exported void _ZdlPv(void *pointer);
exported void _ZdlPv(void *pointer) {
    na_free(pointer);
}

#define DELETE_ALIAS(symbol) exported void symbol(void *pointer) __attribute__((alias("_ZdlPv")))

DELETE_ALIAS(_ZdaPv);
DELETE_ALIAS(_ZdlPvRKSt9nothrow_t);
DELETE_ALIAS(_ZdaPvRKSt9nothrow_t);
DELETE_ALIAS(_ZdlPvSt11align_val_t);
DELETE_ALIAS(_ZdaPvSt11align_val_t);
DELETE_ALIAS(_ZdlPvSt11align_val_tRKSt9nothrow_t);
DELETE_ALIAS(_ZdaPvSt11align_val_tRKSt9nothrow_t);

exported void _ZdlPvm(void *pointer, size_t size);
exported void _ZdlPvm(void *pointer, size_t size) {
    na_free_sized(pointer, size);
}

#define SIZED_DELETE_ALIAS(symbol)                                                                 \
    exported void symbol(void *pointer, size_t size) __attribute__((alias("_ZdlPvm")))

SIZED_DELETE_ALIAS(_ZdaPvm);
SIZED_DELETE_ALIAS(_ZdlPvmSt11align_val_t);
SIZED_DELETE_ALIAS(_ZdaPvmSt11align_val_t);
