#include "prefetchers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MSR_INTEL_PREFETCH 0x1A4u
#define MSR_AMD_PREFETCH   0xC0000108u
#define AMD_OFF_BITS       0x2Fu /* L1 stream, stride and region, L2 stream, L2 up/down */

#define FAMILY_P6 6u

/* Models of Intel's family 6 (their names: Linux, asm/intel-family.h), and the bits that switch off
 * the prefetchers of data. Bit 8, of code, is left alone. */
static const struct {
    uint8_t model;
    uint8_t off_bits, atom_off_bits; /* the latter on the smaller cores of a hybrid */
} intel_models[] = {
    {0x1A, 0x0F, 0},    {0x1E, 0x0F, 0},    {0x1F, 0x0F, 0},    {0x2E, 0x0F, 0}, /* Nehalem */
    {0x25, 0x0F, 0},    {0x2C, 0x0F, 0},    {0x2F, 0x0F, 0},                     /* Westmere */
    {0x2A, 0x0F, 0},    {0x2D, 0x0F, 0},                                         /* Sandy Bridge */
    {0x3A, 0x0F, 0},    {0x3E, 0x0F, 0},                                         /* Ivy Bridge */
    {0x3C, 0x0F, 0},    {0x3F, 0x0F, 0},    {0x45, 0x0F, 0},    {0x46, 0x0F, 0}, /* Haswell */
    {0x3D, 0x0F, 0},    {0x47, 0x0F, 0},    {0x4F, 0x0F, 0},    {0x56, 0x0F, 0}, /* Broadwell */
    {0x4E, 0x0F, 0},    {0x5E, 0x0F, 0},    {0x55, 0x0F, 0},                     /* Skylake */
    {0x8E, 0x0F, 0},    {0x9E, 0x0F, 0},    {0xA5, 0x0F, 0},    {0xA6, 0x0F, 0}, /* Kaby, Comet */
    {0x66, 0x0F, 0},    {0x7D, 0x0F, 0},    {0x7E, 0x0F, 0},    {0x6A, 0x0F, 0}, /* Ice Lake */
    {0x6C, 0x0F, 0},    {0x8C, 0x0F, 0},    {0x8D, 0x0F, 0},    {0xA7, 0x0F, 0}, /* Tiger, Rocket */
    {0x97, 0x2F, 0x2D}, {0x9A, 0x2F, 0x2D},                                      /* Alder Lake */
    {0xB7, 0x2F, 0x2D}, {0xBA, 0x2F, 0x2D}, {0xBF, 0x2F, 0x2D},                  /* Raptor Lake */
    {0xBE, 0x2D, 0x2D},                                                          /* Gracemont */
    {0x8F, 0x2F, 0},    {0xCF, 0x2F, 0},                        /* Sapphire, Emerald Rapids */
    {0xAA, 0xFF, 0xFF}, {0xAC, 0xFF, 0xFF},                     /* Meteor Lake */
    {0xAD, 0xFF, 0},    {0xAE, 0xFF, 0},                        /* Granite Rapids */
    {0xAF, 0xFF, 0xFF}, {0xB6, 0xFF, 0xFF}, {0xDD, 0xFF, 0xFF}, /* Sierra to Clearwater */
    {0x5C, 0x05, 0},    {0x5F, 0x05, 0},    {0x7A, 0x05, 0},    /* Goldmont */
    {0x57, 0x03, 0},    {0x85, 0x03, 0},                        /* Xeon Phi */
};

struct prefetchers_switch prefetchers_find(const struct processor *processor) {
    struct prefetchers_switch unknown = {0};
    if (strcmp(processor->vendor, "AuthenticAMD") == 0 && processor->prefetch_control)
        return (struct prefetchers_switch){MSR_AMD_PREFETCH, AMD_OFF_BITS};
    if (strcmp(processor->vendor, "GenuineIntel") != 0 || processor->family != FAMILY_P6)
        return unknown;
    for (size_t i = 0; i < sizeof intel_models / sizeof intel_models[0]; i++) {
        uint64_t bits =
            processor->atom_core ? intel_models[i].atom_off_bits : intel_models[i].off_bits;
        if (intel_models[i].model == processor->model && bits != 0)
            return (struct prefetchers_switch){MSR_INTEL_PREFETCH, bits};
    }
    return unknown;
}

__attribute__((format(printf, 2, 3))) static bool refuse(struct prefetchers *prefetchers,
                                                         const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefetchers->why, sizeof prefetchers->why, format, arguments);
    va_end(arguments);
    return false;
}

/* 0 or an errno. */
static int read_register(const struct prefetchers *prefetchers, uint64_t *value) {
    ssize_t got = pread(prefetchers->file, value, sizeof *value, prefetchers->found.address);
    if (got == (ssize_t)sizeof *value)
        return 0;
    return got < 0 ? errno : EIO;
}

/* Gives the register's off_bits these values and leaves its other bits alone. 0 or an errno; ENODEV
 * when the write changed nothing, as under a hypervisor that ignores it. */
static int write_bits(const struct prefetchers *prefetchers, uint64_t bits) {
    uint64_t value, mask = prefetchers->found.off_bits;
    int error = read_register(prefetchers, &value);
    if (error != 0 || (value & mask) == bits)
        return error;
    value = (value & ~mask) | bits;
    ssize_t put = pwrite(prefetchers->file, &value, sizeof value, prefetchers->found.address);
    if (put != (ssize_t)sizeof value)
        return put < 0 ? errno : EIO;
    error = read_register(prefetchers, &value);
    return error == 0 && (value & mask) != bits ? ENODEV : error;
}

/* The guardian: waits until the other process closes its leash or ends, and restores. */
__attribute__((noreturn)) static void stand_guard(const struct prefetchers *prefetchers, int leash,
                                                  int process) {
    setsid(); /* out of the process group that a terminal or timeout(1) kills */
    /* Who reads the other process's output must not wait for the guardian. */
    for (int standard = 0; standard < 3; standard++)
        if (standard != leash && standard != process && standard != prefetchers->file)
            close(standard);
    (void)!write(leash, "", 1); /* from here on it is restored */
    struct pollfd ends[] = {{.fd = leash, .events = POLLIN}, {.fd = process, .events = POLLIN}};
    while (poll(ends, 2, -1) < 0 && errno == EINTR) {
    }
    _exit(write_bits(prefetchers, prefetchers->before) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Starts it, with every signal blocked from its first instruction, and waits until it stands guard.
 * 0 or an errno. */
static int start_guardian(struct prefetchers *prefetchers) {
    int ends[2];
    char ready;
    sigset_t all, old;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return errno;
    /* Beside the socket, whose end a fork of this process would hold open after it: the process
     * itself (Linux 5.3). Before, poll takes no notice of the -1. */
    int process = (int)syscall(SYS_pidfd_open, getpid(), 0);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    prefetchers->guardian = fork();
    int error = prefetchers->guardian < 0 ? errno : 0;
    if (prefetchers->guardian == 0) {
        close(ends[0]);
        stand_guard(prefetchers, ends[1], process);
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    close(ends[1]);
    if (process >= 0)
        close(process);
    if (error == 0 && TEMP_FAILURE_RETRY(read(ends[0], &ready, 1)) != 1)
        error = ECHILD;
    if (error != 0)
        close(ends[0]);
    else
        prefetchers->leash = ends[0];
    return error;
}

static bool open_register(struct prefetchers *prefetchers, const char *msr_root, unsigned cpu) {
    char path[256];
    snprintf(path, sizeof path, "%s/%u/msr", msr_root, cpu);
    prefetchers->file = open(path, O_RDWR | O_CLOEXEC);
    if (prefetchers->file >= 0)
        return true;
    if (errno == ENOENT || errno == ENXIO)
        return refuse(prefetchers, "there is no %s: load the kernel module msr (modprobe msr)",
                      path);
    if (errno == EACCES || errno == EPERM)
        return refuse(prefetchers, "%s may not be written: needs root with CAP_SYS_RAWIO", path);
    return refuse(prefetchers, "cannot open %s: %s", path, strerror(errno));
}

/* Another program of this kind would take our bits for those to restore. */
static bool lock_register(struct prefetchers *prefetchers, unsigned cpu) {
    if (flock(prefetchers->file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return true;
    return refuse(prefetchers, "another process has switched the prefetchers of CPU %u", cpu);
}

bool prefetchers_guard(struct prefetchers *prefetchers, const char *msr_root, unsigned cpu,
                       const struct processor *processor) {
    *prefetchers =
        (struct prefetchers){.found = prefetchers_find(processor), .file = -1, .leash = -1};
    if (processor->vendor[0] == '\0')
        return refuse(prefetchers, "this architecture has no register for its prefetchers");
    if (prefetchers->found.off_bits == 0)
        return refuse(prefetchers,
                      "how to switch the prefetchers of this processor is not known (%s, family "
                      "%u, model 0x%X%s)",
                      processor->vendor, processor->family, processor->model,
                      processor->virtualised ? ", virtual" : "");
    if (!open_register(prefetchers, msr_root, cpu))
        return false;
    uint64_t value = 0;
    int error = 0;
    if (lock_register(prefetchers, cpu)) {
        error = read_register(prefetchers, &value);
        prefetchers->before = value & prefetchers->found.off_bits;
        if (error != 0)
            refuse(prefetchers, "MSR 0x%" PRIX32 " of CPU %u cannot be read: %s",
                   prefetchers->found.address, cpu, strerror(error));
        else if ((error = start_guardian(prefetchers)) == 0)
            return true;
        else
            refuse(prefetchers, "cannot start a guardian process: %s", strerror(error));
    }
    close(prefetchers->file);
    prefetchers->file = -1;
    return false;
}

bool prefetchers_off(struct prefetchers *prefetchers) {
    int error = write_bits(prefetchers, prefetchers->found.off_bits);
    if (error == 0)
        return true;
    write_bits(prefetchers, prefetchers->before);
    if (error == ENODEV)
        return refuse(prefetchers, "writing MSR 0x%" PRIX32 " changes nothing here%s",
                      prefetchers->found.address, " (a hypervisor ignores it)");
    return refuse(prefetchers, "MSR 0x%" PRIX32 " cannot be written: %s",
                  prefetchers->found.address, strerror(error));
}

bool prefetchers_restore(struct prefetchers *prefetchers) {
    close(prefetchers->leash);
    while (waitpid(prefetchers->guardian, NULL, 0) < 0 && errno == EINTR) {
    }
    /* Also here, should the guardian have been killed. */
    int error = write_bits(prefetchers, prefetchers->before);
    close(prefetchers->file);
    prefetchers->file = prefetchers->leash = -1;
    if (error == 0)
        return true;
    return refuse(prefetchers, "the prefetchers could not be restored (MSR 0x%" PRIX32 "): %s",
                  prefetchers->found.address, strerror(error));
}
