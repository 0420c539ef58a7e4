/* The profile allocates when it opens its file, and so has the allocator set up before it counts
 * anything. So here the allocator is set up first, and what was counted until then is added to the
 * file's counters, which lie `bias` bytes from those it was counted in. */
#pragma once

#include <stdint.h>

void __llvm_profile_initialize(void);
uint64_t *__llvm_profile_begin_counters(void);
uint64_t *__llvm_profile_end_counters(void);
static void runtime_set_up(void);                                           /* the allocator's */
__attribute__((visibility("hidden"))) intptr_t __llvm_profile_counter_bias; /* the runtime's */

__attribute__((constructor(100))) static void count_from_the_start(void) {
    static uint64_t counted[1 << 16];
    runtime_set_up();
    uint64_t *first = __llvm_profile_begin_counters();
    int64_t count = __llvm_profile_end_counters() - first;
    for (int64_t i = 0; i < count; i++)
        counted[i] = first[i];
    __llvm_profile_initialize();
    for (int64_t i = 0; i < count; i++)
        *(uint64_t *)((intptr_t)&first[i] + __llvm_profile_counter_bias) += counted[i];
}
