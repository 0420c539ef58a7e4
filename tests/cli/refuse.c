/*
 * A kernel, or a container, that refuses memory placement: `refuse EPERM PROGRAM [ARGUMENT...]`
 * runs the program so that mbind, set_mempolicy, get_mempolicy and move_pages fail with EPERM, in
 * it and in all it starts. A seccomp filter does it (Linux's
 * Documentation/userspace-api/seccomp_filter.rst), so system calls that pass libc by are refused as
 * well.
 *
 *     refuse EPERM|ENOSYS [+CALL...] PROGRAM [ARGUMENT...]
 *
 * Each +CALL is refused too: +sched_setaffinity with EPERM, +populate (MADV_POPULATE_WRITE) with
 * EINVAL as before Linux 5.14. Exit status: the program's own; 2 bad usage, 125 no filter here, 127
 * the program cannot be run.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "only x86-64 and arm64 are described here"
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

enum { CANNOT_FILTER = 125, CANNOT_RUN = 127 };

/* The calls that every filter here refuses, with the errno asked for. */
static const unsigned placement_calls[] = {SYS_mbind, SYS_set_mempolicy, SYS_get_mempolicy,
                                           SYS_move_pages};

/* What +CALL refuses: the call, all of it or only with one value of its third argument. */
static const struct extra {
    const char *name;
    unsigned call, third_argument; /* 0: whatever that is */
    unsigned error;
} extras[] = {
    {"+sched_setaffinity", SYS_sched_setaffinity, 0, EPERM},
    {"+populate", SYS_madvise, MADV_POPULATE_WRITE, EINVAL},
};

struct filter {
    struct sock_filter code[64];
    unsigned short length;
};

static void emit(struct filter *filter, struct sock_filter instruction) {
    filter->code[filter->length++] = instruction;
}

static void emit_load(struct filter *filter, size_t offset) {
    emit(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

/* Goes on with the next instruction when the word loaded last is `value`, else skips `skipped`. */
static void emit_if(struct filter *filter, unsigned value, unsigned char skipped) {
    emit(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skipped));
}

static void emit_return(struct filter *filter, unsigned action) {
    emit(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Answers `call` (with that third argument, if not 0) with `error`. */
static void emit_refusal(struct filter *filter, unsigned call, unsigned third_argument,
                         unsigned error) {
    const size_t third = offsetof(struct seccomp_data, args[2]); /* its low half: little endian */
    emit_load(filter, offsetof(struct seccomp_data, nr));
    emit_if(filter, call, third_argument != 0 ? 3 : 1);
    if (third_argument != 0) {
        emit_load(filter, third);
        emit_if(filter, third_argument, 1);
    }
    emit_return(filter, SECCOMP_RET_ERRNO | error);
}

static void filter_begin(struct filter *filter, unsigned error) {
    filter->length = 0;
    emit_load(filter, offsetof(struct seccomp_data, arch));
    /* Another one, such as 32-bit x86, numbers its calls otherwise: let it be. */
    emit(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0));
    emit_return(filter, SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < LENGTH(placement_calls); i++)
        emit_refusal(filter, placement_calls[i], 0, error);
}

/* Adds what `+CALL` names. Returns 0 when there is no such name. */
static int filter_add(struct filter *filter, const char *name) {
    for (size_t i = 0; i < LENGTH(extras); i++)
        if (strcmp(name, extras[i].name) == 0) {
            emit_refusal(filter, extras[i].call, extras[i].third_argument, extras[i].error);
            return 1;
        }
    return 0;
}

/* Filters this process's calls from now on. Returns 0 or -1 with errno. */
static int filter_install(struct filter *filter) {
    emit_return(filter, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = filter->length, .filter = filter->code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int usage(void) {
    fputs("refuse: usage: refuse EPERM|ENOSYS [+sched_setaffinity] [+populate] PROGRAM "
          "[ARGUMENT...]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return usage();
    unsigned error = strcmp(argv[1], "EPERM") == 0    ? EPERM
                     : strcmp(argv[1], "ENOSYS") == 0 ? ENOSYS
                                                      : 0;
    if (error == 0)
        return usage();
    struct filter filter;
    filter_begin(&filter, error);
    int at = 2;
    unsigned repeated = 0;
    for (; at < argc && argv[at][0] == '+'; at++)
        if (++repeated > LENGTH(extras) || !filter_add(&filter, argv[at]))
            return usage();
    if (at == argc)
        return usage();
    if (filter_install(&filter) != 0) {
        fprintf(stderr, "refuse: cannot filter system calls: %s\n", strerror(errno));
        return CANNOT_FILTER;
    }
    execvp(argv[at], argv + at);
    fprintf(stderr, "refuse: cannot run %s: %s\n", argv[at], strerror(errno));
    return CANNOT_RUN;
}
