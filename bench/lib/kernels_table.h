/* The functions and the table of one instruction set, from its loops. The file that includes this,
 * once, has defined KERNEL_SET, what the table is called; KERNEL_SET_NAME, what the CSV calls the
 * instruction set; KERNEL_HAS_NON_TEMPORAL, or not; run_read, run_read_random, and for each kernel
 * that stores NAME_with(slice, how), where how is store or store_nt, for copy and scale with
 * whether both halves are gone through side by side; and fence(), which waits for what
 * store_nt wrote and returns 0. */
#ifndef BENCH_KERNELS_TABLE_H
#define BENCH_KERNELS_TABLE_H

#include "kernels.h"

static uint64_t run_write(const struct kernel_slice *slice) {
    return write_with(slice, store);
}

static uint64_t run_copy(const struct kernel_slice *slice) {
    return copy_with(slice, store, false);
}

static uint64_t run_scale(const struct kernel_slice *slice) {
    return scale_with(slice, store, false);
}

static uint64_t run_add(const struct kernel_slice *slice) {
    return add_with(slice, store);
}

static uint64_t run_triad(const struct kernel_slice *slice) {
    return triad_with(slice, store);
}

static uint64_t run_mix_3_1(const struct kernel_slice *slice) {
    return mix_3_1_with(slice, store);
}

static uint64_t run_mix_2_1(const struct kernel_slice *slice) {
    return mix_2_1_with(slice, store);
}

#ifdef KERNEL_HAS_NON_TEMPORAL
static uint64_t run_write_nt(const struct kernel_slice *slice) {
    write_with(slice, store_nt);
    return fence();
}

static uint64_t run_copy_nt(const struct kernel_slice *slice) {
    copy_with(slice, store_nt, true);
    return fence();
}

static uint64_t run_scale_nt(const struct kernel_slice *slice) {
    scale_with(slice, store_nt, true);
    return fence();
}

static uint64_t run_add_nt(const struct kernel_slice *slice) {
    add_with(slice, store_nt);
    return fence();
}

static uint64_t run_triad_nt(const struct kernel_slice *slice) {
    triad_with(slice, store_nt);
    return fence();
}

static uint64_t run_mix_3_1_nt(const struct kernel_slice *slice) {
    mix_3_1_with(slice, store_nt);
    return fence();
}

static uint64_t run_mix_2_1_nt(const struct kernel_slice *slice) {
    mix_2_1_with(slice, store_nt);
    return fence();
}
#endif

const struct kernel_set KERNEL_SET = {
    .name = KERNEL_SET_NAME,
    .run =
        {
            [KERNEL_READ] = run_read,
            [KERNEL_READ_RANDOM] = run_read_random,
            [KERNEL_WRITE] = run_write,
            [KERNEL_COPY] = run_copy,
            [KERNEL_SCALE] = run_scale,
            [KERNEL_ADD] = run_add,
            [KERNEL_TRIAD] = run_triad,
            [KERNEL_MIX_3_1] = run_mix_3_1,
            [KERNEL_MIX_2_1] = run_mix_2_1,
            [KERNEL_MIX_1_1] = run_copy, /* a line read, a line written: the same loop */
#ifdef KERNEL_HAS_NON_TEMPORAL
            [KERNEL_WRITE_NT] = run_write_nt,
            [KERNEL_COPY_NT] = run_copy_nt,
            [KERNEL_SCALE_NT] = run_scale_nt,
            [KERNEL_ADD_NT] = run_add_nt,
            [KERNEL_TRIAD_NT] = run_triad_nt,
            [KERNEL_MIX_3_1_NT] = run_mix_3_1_nt,
            [KERNEL_MIX_2_1_NT] = run_mix_2_1_nt,
            [KERNEL_MIX_1_1_NT] = run_copy_nt,
#endif
        },
};

#endif
