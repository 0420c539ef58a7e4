/* The kernels that are one instruction: the processor's own way to fill and to copy a block. */
#include "kernels.h"

#include <string.h>

#if defined(__x86_64__)
static uint64_t run_write(const struct kernel_slice *slice) {
    void *to = slice->c;
    size_t count = slice->lines * KERNEL_LINE_BYTES;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(0) : "memory");
    return 0;
}

static uint64_t run_copy(const struct kernel_slice *slice) {
    const void *from = slice->a;
    void *to = slice->c;
    size_t count = slice->lines * KERNEL_LINE_BYTES;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return 0;
}

const struct kernel_set kernel_set_string = {
    .name = "rep",
    .run = {[KERNEL_WRITE_STRING] = run_write, [KERNEL_COPY_STRING] = run_copy},
};
#elif defined(__aarch64__)
/* DC ZVA zeroes a block of 4 << DCZID_EL0.BS bytes (Arm Architecture Reference Manual, D19:
 * DCZID_EL0, DC ZVA), most often a line; what is no whole block is written with ordinary stores.
 * Bit 4 says that it may not be used. */
static uint64_t run_write(const struct kernel_slice *slice) {
    uint64_t dczid;
    __asm__("mrs %0, dczid_el0" : "=r"(dczid));
    char *to = (char *)slice->c, *end = to + slice->lines * KERNEL_LINE_BYTES;
    size_t block_bytes = (dczid & 16) != 0 ? 0 : (size_t)4 << (dczid & 15);
    while (to < end) {
        size_t left_bytes = (size_t)(end - to);
        if (block_bytes > 0 && left_bytes >= block_bytes && (uintptr_t)to % block_bytes == 0) {
            __asm__ volatile("dc zva, %0" : : "r"(to) : "memory");
            to += block_bytes;
        } else {
            memset(to, 0, KERNEL_LINE_BYTES);
            to += KERNEL_LINE_BYTES;
        }
    }
    return 0;
}

const struct kernel_set kernel_set_string = {
    .name = "dc-zva",
    .run = {[KERNEL_WRITE_STRING] = run_write},
};
#else
const struct kernel_set kernel_set_string = {.name = "string"};
#endif
