/* The only place that enters the kernel. Raw system calls, because libc's wrappers set errno, which
 * free must keep, and some of them allocate. Each returns the kernel's answer: a value, or -errno.
 */
#pragma once

#include "base.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <numaif.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#else
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f) {
    int saved_errno = errno;
    long result = syscall(number, a, b, c, d, e, f);
    if (result == -1)
        result = -errno;
    errno = saved_errno;
    return result;
}
#endif

/* --- memory -------------------------------------------------------------------------------- */

/* Anonymous private memory at `hint` (0: anywhere); `flags` are added. Returns 0 when refused. */
static uintptr_t sys_map(uintptr_t hint, size_t size_bytes, int protection, int flags) {
    long result = sys_call(SYS_mmap, (long)hint, (long)size_bytes, protection,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
    return result < 0 && result > -4096 ? 0 : (uintptr_t)result;
}

/* Ranges that the kernel would not unmap: that splits a mapping, and a process may have only so
 * many. Their memory is given back at once, their addresses by a later call. */
#define UNMAP_LATER_MAX  64
#define UNMAP_LATER_BUSY 1 /* somebody is at it */
static struct {
    _Atomic(uintptr_t) start; /* 0: free */
    size_t size_bytes;
} unmap_later[UNMAP_LATER_MAX];
static _Atomic(unsigned) unmap_later_count;

static bool unmap_now(uintptr_t start, size_t size_bytes) {
    return sys_call(SYS_munmap, (long)start, (long)size_bytes, 0, 0, 0, 0) == 0;
}

/* With more of them than there is room for, addresses are lost, but no memory. */
static slow_path void unmap_refused(uintptr_t start, size_t size_bytes) {
    (void)sys_call(SYS_madvise, (long)start, (long)size_bytes, MADV_DONTNEED, 0, 0, 0);
    for (size_t i = 0; i < UNMAP_LATER_MAX; i++) {
        uintptr_t expected = 0;
        if (!atomic_compare_exchange_strong(&unmap_later[i].start, &expected, UNMAP_LATER_BUSY))
            continue;
        unmap_later[i].size_bytes = size_bytes;
        atomic_store(&unmap_later[i].start, start);
        atomic_fetch_add(&unmap_later_count, 1);
        return;
    }
}

/* Tries again what was refused. */
static slow_path void unmap_refused_again(void) {
    for (size_t i = 0; i < UNMAP_LATER_MAX; i++) {
        uintptr_t start = atomic_load(&unmap_later[i].start);
        if (start <= UNMAP_LATER_BUSY ||
            !atomic_compare_exchange_strong(&unmap_later[i].start, &start, UNMAP_LATER_BUSY))
            continue;
        if (unmap_now(start, unmap_later[i].size_bytes)) {
            atomic_store(&unmap_later[i].start, 0);
            atomic_fetch_sub(&unmap_later_count, 1);
        } else {
            atomic_store(&unmap_later[i].start, start);
        }
    }
}

static void sys_unmap(uintptr_t start, size_t size_bytes) {
    if (size_bytes == 0)
        return;
    if (unlikely(!unmap_now(start, size_bytes)))
        unmap_refused(start, size_bytes);
    else if (unlikely(atomic_load_explicit(&unmap_later_count, memory_order_relaxed) != 0))
        unmap_refused_again();
}

/* Where the next aligned mapping is asked for: below the last one. Only a hint, so races are
 * benign. */
static _Atomic(uintptr_t) sys_aligned_hint;

/* Memory whose start is a multiple of `alignment`: one call where the hint is free; else maps more
 * and gives the ends back. Returns 0 when refused. */
static uintptr_t sys_map_aligned(size_t size_bytes, size_t alignment, int protection) {
    size_t padded_bytes;
    if (__builtin_add_overflow(size_bytes, alignment, &padded_bytes))
        return 0;
    uintptr_t hint = atomic_load_explicit(&sys_aligned_hint, memory_order_relaxed);
    uintptr_t start = hint < padded_bytes ? 0 : (hint - size_bytes) & ~(alignment - 1);
    if (start != 0) {
        uintptr_t got = sys_map(start, size_bytes, protection, 0);
        if (got != start) {
            sys_unmap(got, got == 0 ? 0 : size_bytes);
            start = 0;
        }
    }
    if (start == 0) {
        uintptr_t raw = sys_map(0, padded_bytes, protection, 0);
        if (raw == 0)
            return 0;
        start = align_up(raw, alignment);
        sys_unmap(raw, start - raw);
        sys_unmap(start + size_bytes, raw + padded_bytes - (start + size_bytes));
    }
    atomic_store_explicit(&sys_aligned_hint, start, memory_order_relaxed);
    return start;
}

/* Unmaps what sys_map_aligned gave. Mapping and unmapping one block in a loop stays at one address,
 * so that page tables and tables indexed by address do not grow with the number of rounds. */
static void sys_unmap_aligned(uintptr_t start, size_t size_bytes) {
    sys_unmap(start, size_bytes);
    uintptr_t expected = start;
    (void)atomic_compare_exchange_strong_explicit(&sys_aligned_hint, &expected, start + size_bytes,
                                                  memory_order_relaxed, memory_order_relaxed);
}

/* Memory of huge pages of `page_bytes`, taken out of what the kernel has of them for all nodes, at
 * a multiple of `alignment`. Returns 0 with *error when refused: ENOMEM: there are not enough. */
static uintptr_t sys_map_hugetlb(size_t size_bytes, size_t alignment, size_t page_bytes,
                                 int *error) {
    int flags =
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (int)(floor_log2(page_bytes) << MAP_HUGE_SHIFT);
    /* Padding would want huge pages as well, so room is found without them. Another thread may take
     * it in between. */
    for (int attempt = 0; attempt < 8; attempt++) {
        uintptr_t start = sys_map_aligned(size_bytes, alignment, PROT_NONE);
        if (start == 0)
            break;
        sys_unmap(start, size_bytes);
        long result =
            sys_call(SYS_mmap, (long)start, (long)size_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
        if ((uintptr_t)result == start)
            return start;
        if (result < 0 && result > -4096) {
            *error = -(int)result;
            return 0;
        }
        sys_unmap((uintptr_t)result, size_bytes);
    }
    *error = ENOMEM;
    return 0;
}

/* Lets transparent huge pages fill the range. Returns 0 or -errno. */
static int sys_advise_huge_pages(uintptr_t start, size_t size_bytes) {
    return (int)sys_call(SYS_madvise, (long)start, (long)size_bytes, MADV_HUGEPAGE, 0, 0, 0);
}

/* Makes memory mapped with PROT_NONE usable. Only then does it count as committed, against
 * RLIMIT_DATA, and as memory to lock. */
static bool sys_make_usable(uintptr_t start, size_t size_bytes) {
    return sys_call(SYS_mprotect, (long)start, (long)size_bytes, PROT_READ | PROT_WRITE, 0, 0, 0) ==
           0;
}

/* Grows or shrinks a mapping where it stands. Returns 0 or -errno. */
static int sys_remap_in_place(uintptr_t start, size_t old_bytes, size_t new_bytes) {
    long result = sys_call(SYS_mremap, (long)start, (long)old_bytes, (long)new_bytes, 0, 0, 0);
    return (uintptr_t)result == start ? 0 : (int)result;
}

/* Moves a mapping, its pages and its policy onto `target`, replacing what is mapped there. */
static bool sys_remap_to(uintptr_t start, size_t old_bytes, size_t new_bytes, uintptr_t target) {
    return (uintptr_t)sys_call(SYS_mremap, (long)start, (long)old_bytes, (long)new_bytes,
                               MREMAP_MAYMOVE | MREMAP_FIXED, (long)target, 0) == target;
}

/* Gives the physical pages back; the range stays mapped, reads as zero and keeps its policy. */
static bool sys_purge(uintptr_t start, size_t size_bytes) {
    return sys_call(SYS_madvise, (long)start, (long)size_bytes, MADV_DONTNEED, 0, 0, 0) == 0;
}

/* Sets the first bit of pages[i] where the range's i-th page is in memory. False: not known. */
static bool sys_resident(uintptr_t start, size_t size_bytes, unsigned char *pages) {
    return sys_call(SYS_mincore, (long)start, (long)size_bytes, (long)pages, 0, 0, 0) == 0;
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* Has the kernel find memory for the whole range now. Returns 0 or -errno; -EFAULT where a fault
 * would have been SIGBUS. An empty range only asks whether the kernel can (-EINVAL: it cannot). */
static int sys_populate(uintptr_t start, size_t size_bytes) {
    return (int)sys_call(SYS_madvise, (long)start, (long)size_bytes, MADV_POPULATE_WRITE, 0, 0, 0);
}

/* Makes any use of a range a SIGSEGV; a mapping of its own. sys_make_usable undoes it. */
static bool sys_forbid(uintptr_t start, size_t size_bytes) {
    return sys_call(SYS_mprotect, (long)start, (long)size_bytes, PROT_NONE, 0, 0, 0) == 0;
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#define MADV_GUARD_REMOVE  103
#endif

/* Drops the pages of a range and makes any use of it a SIGSEGV, without a mapping of its own.
 * Returns 0 or -errno: -EINVAL where the kernel cannot, or the range is locked into memory. An
 * empty range only asks whether the kernel can. */
static int sys_guard_install(uintptr_t start, size_t size_bytes) {
    return (int)sys_call(SYS_madvise, (long)start, (long)size_bytes, MADV_GUARD_INSTALL, 0, 0, 0);
}

static bool sys_guard_remove(uintptr_t start, size_t size_bytes) {
    return sys_call(SYS_madvise, (long)start, (long)size_bytes, MADV_GUARD_REMOVE, 0, 0, 0) == 0;
}

/* mbind(2). `mask_bits` counts the bits in `mask`; the kernel wants one more than it reads. */
static int sys_mbind(uintptr_t start, size_t size_bytes, int mode, const uint64_t *mask,
                     size_t mask_bits) {
    return (int)sys_call(SYS_mbind, (long)start, (long)size_bytes, mode, (long)mask,
                         (long)(mask_bits + 1), 0);
}

/* On which node each page is; -errno in `nodes` for one that is nowhere. Returns 0 or -errno. */
static int sys_nodes_of_pages(void *const *pages, size_t count, int *nodes) {
    return (int)sys_call(SYS_move_pages, 0, (long)count, (long)pages, 0, (long)nodes, 0);
}

/* The nodes this process may allocate on (its cpuset). */
static int sys_allowed_nodes(uint64_t *mask, size_t mask_bits) {
    return (int)sys_call(SYS_get_mempolicy, 0, (long)mask, (long)mask_bits, 0, MPOL_F_MEMS_ALLOWED,
                         0);
}

/* Bytes of the kernel's pages: 4,096, or 16 or 64 KiB on some arm64 machines. */
static size_t sys_page_bytes(void) {
    unsigned long bytes = getauxval(AT_PAGESZ);
    return bytes != 0 ? bytes : 4096;
}

/* Bytes of address space this process may map, or SIZE_MAX without a limit. */
static size_t sys_address_space_limit(void) {
    struct rlimit limit = {0, 0};
    if (sys_call(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit, 0, 0) != 0)
        return SIZE_MAX;
    return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}

/* --- files --------------------------------------------------------------------------------- */

/* A descriptor, or -errno. */
static long sys_open_to_read(const char *path) {
    return sys_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
}

/* Bytes read, fewer than `capacity` perhaps; 0 at the end; or -errno. */
static long sys_read(long fd, char *buffer, size_t capacity) {
    long got;
    do {
        got = sys_call(SYS_read, fd, (long)buffer, (long)capacity, 0, 0, 0);
    } while (got == -EINTR);
    return got;
}

static void sys_close(int fd) {
    (void)sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

/* Reads a small file whole into `text`, NUL-terminated. Returns its length or -errno. */
static long sys_read_file(const char *path, char *text, size_t capacity) {
    long fd = sys_open_to_read(path);
    if (fd < 0)
        return fd;
    size_t length = 0;
    long got;
    do {
        got = sys_read(fd, text + length, capacity - 1 - length);
        if (got > 0)
            length += (size_t)got;
    } while (got > 0 && length < capacity - 1);
    sys_close((int)fd);
    text[length] = '\0';
    return got < 0 ? got : (long)length;
}

/* The lines of a file of any length, or -errno. */
static long sys_count_lines(const char *path) {
    char text[1024];
    long fd = sys_open_to_read(path);
    if (fd < 0)
        return fd;
    long lines = 0, got;
    while ((got = sys_read(fd, text, sizeof text)) > 0)
        for (long i = 0; i < got; i++)
            lines += text[i] == '\n';
    sys_close((int)fd);
    return got < 0 ? got : lines;
}

/* Creates or empties a file for writing. Returns a descriptor or -errno. It does not wait: a FIFO
 * that nobody reads is -ENXIO. */
static int sys_create_file(const char *path) {
    long fd =
        sys_call(SYS_openat, AT_FDCWD, (long)path,
                 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644, 0, 0);
    if (fd >= 0) /* what is written has to wait for a reader that is there */
        (void)sys_call(SYS_fcntl, fd, F_SETFL, O_WRONLY, 0, 0, 0);
    return (int)fd;
}

/* A second descriptor for the same file, kept from children, numbered `lowest` or above; -errno
 * when refused. */
static int sys_duplicate(int fd, int lowest) {
    return (int)sys_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest, 0, 0, 0);
}

/* A number that stays the same as long as `fd` is open on the same file; 0 when it is not open. */
static uint64_t sys_file_identity(int fd) {
    struct stat status;
    if (sys_call(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) != 0)
        return 0;
    return (uint64_t)status.st_dev * 0x9e3779b97f4a7c15U + (uint64_t)status.st_ino + 1;
}

/* Returns 0 when all is written, or -errno. */
static int sys_write_all(int fd, const char *text, size_t length) {
    while (length > 0) {
        long wrote = sys_call(SYS_write, fd, (long)text, (long)length, 0, 0, 0);
        if (wrote == -EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? (int)wrote : -EIO;
        text += wrote;
        length -= (size_t)wrote;
    }
    return 0;
}

/* Fills `bytes` with what nobody can foresee; without the system call with what few can. */
static void sys_random(void *bytes, size_t count) {
    if (sys_call(SYS_getrandom, (long)bytes, (long)count, 1 /* GRND_NONBLOCK */, 0, 0, 0) ==
        (long)count)
        return;
    const char *given = (const char *)getauxval(AT_RANDOM); /* 16 bytes from the kernel */
    for (size_t i = 0; i < count; i++)
        ((char *)bytes)[i] = given != NULL ? (char)(given[i % 16] ^ (char)i) : (char)i;
}

/* --- process and threads ------------------------------------------------------------------- */

__attribute__((noreturn)) static void sys_exit_process(int status) {
    for (;;)
        (void)sys_call(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

__attribute__((noreturn)) static void sys_abort(void) {
    long pid = sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
    long tid = sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
    (void)sys_call(SYS_tgkill, pid, tid, 6 /* SIGABRT */, 0, 0, 0);
    sys_exit_process(134);
}

static long sys_process_id(void) {
    return sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

/* What a helper process does and what came of it; it runs in our memory. */
struct sys_touch {
    const unsigned long *cpus;
    size_t cpus_bytes;
    uintptr_t start;
    size_t size_bytes;
    long result;
};

/* The helper: raw calls alone, since errno and all else thread-local is its parent's. */
static int sys_touch_child(void *argument) {
    struct sys_touch *touch = argument;
    touch->result =
        sys_call(SYS_sched_setaffinity, 0, (long)touch->cpus_bytes, (long)touch->cpus, 0, 0, 0);
    if (touch->result < 0)
        return 0;
    /* One that the process may have inherited would decide instead. */
    (void)sys_call(SYS_set_mempolicy, MPOL_DEFAULT, 0, 0, 0, 0, 0);
    touch->result = sys_populate(touch->start, touch->size_bytes);
    return 0;
}

/* sys_populate from a helper that runs on one of `cpus`. The calling thread is suspended meanwhile,
 * as by vfork, so the helper's stack can be on its own. No signal is delivered to the helper, it
 * announces its end by none, and no wait of the program's sees it (wait(2), __WCLONE). Returns 0 or
 * -errno. */
static int sys_populate_on(const unsigned long *cpus, size_t cpus_bytes, uintptr_t start,
                           size_t size_bytes) {
    _Alignas(16) char stack[4096];
    struct sys_touch touch = {cpus, cpus_bytes, start, size_bytes, -EAGAIN};
    uint64_t all = ~(uint64_t)0, before;
    int saved_errno = errno;
    (void)sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, sizeof all, 0, 0);
    int child = clone(sys_touch_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK, &touch);
    if (child < 0)
        touch.result = -errno;
    else
        while (sys_call(SYS_wait4, child, 0, __WCLONE | __WALL, 0, 0, 0) == -EINTR)
            continue;
    (void)sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof before, 0, 0);
    errno = saved_errno;
    return (int)touch.result;
}

static void sys_futex_wait(_Atomic(uint32_t) *word, uint32_t expected) {
    (void)sys_call(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, expected, 0, 0, 0);
}

static void sys_futex_wake_one(_Atomic(uint32_t) *word) {
    (void)sys_call(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

/* The environment as the kernel gave it, for when libc has not set `environ` yet; NULL in a
 * set-user-id program or where unknown. The loader's symbol points at argc, then argv, then it. */
static char **sys_initial_environment(void) {
    extern void *__libc_stack_end __attribute__((weak));
    if (&__libc_stack_end == NULL || __libc_stack_end == NULL || getauxval(AT_SECURE) != 0)
        return NULL;
    long argc = *(long *)__libc_stack_end;
    return (char **)__libc_stack_end + 1 + argc + 1;
}

/* The CPU this thread runs on, as the kernel notes in its rseq area, where libc has registered one
 * (glibc 2.35, under 1 ns); -1 when unknown. */
static int sys_noted_cpu(void) {
    extern const ptrdiff_t __rseq_offset __attribute__((weak));
    extern const unsigned __rseq_size __attribute__((weak));
    if (&__rseq_offset == NULL || &__rseq_size == NULL || __rseq_size == 0)
        return -1;
    const char *area = (const char *)__builtin_thread_pointer() + __rseq_offset;
    return (int)*(const volatile uint32_t *)(area + sizeof(uint32_t)); /* struct rseq's cpu_id */
}

/* The CPU this thread runs on and its node, through the vDSO (5 ns). */
static bool sys_current_cpu(unsigned *cpu, unsigned *node) {
    int saved_errno = errno;
    bool known = getcpu(cpu, node) == 0;
    errno = saved_errno;
    return known;
}

/* A clock of a few milliseconds' resolution that costs a vDSO call. */
static uint64_t sys_coarse_ms(void) {
    struct timespec now;
    int saved_errno = errno;
    if (clock_gettime(CLOCK_MONOTONIC_COARSE, &now) != 0) { /* a call proper without the vDSO */
        errno = saved_errno;
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
