/* The kernel as the allocator sees it, with failures: a seccomp filter stops the program at the
 * calls of interest (Linux's Documentation/userspace-api/seccomp_filter.rst, SECCOMP_RET_TRACE),
 * and those that the library itself makes are counted and, where the trial says so, skipped with an
 * errno as their answer. The program and the library are as released. */
#include "supervise.h"
#include "protocol.h"

#include <errno.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LIMIT_SECONDS = 20, PROCESSES_MAX = 64 };

uintptr_t places_seen[1024];
size_t places_seen_count;

/* The run under way. */
static struct {
    struct trial *trial;
    const char *library;
    uintptr_t code_start, code_end, code_offset; /* of the library; 0: not mapped yet */
    bool window_open;
    pid_t main;
    struct process {
        pid_t id;   /* 0: free */
        int answer; /* errno that replaces the answer of the call it is in; 0: none */
    } alive[PROCESSES_MAX];
} run;

static volatile sig_atomic_t timed_out;

static void on_alarm(int signal_number) {
    (void)signal_number;
    timed_out = 1;
}

/* --- the program ----------------------------------------------------------------------------- */

static void install_filter(void) {
    struct sock_filter code[2 * SITES + 4];
    unsigned short length = 0;
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                  (unsigned)offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i <= SITES; i++) {
        unsigned call = (unsigned)(i < SITES ? sites[i].call : SYS_prctl);
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = length, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(CANNOT_FILTER);
}

static void become_program(const struct trial *trial, int verdict_fd, int messages_fd) {
    dup2(verdict_fd, VERDICT_FD);
    dup2(messages_fd, STDERR_FILENO);
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
        _exit(1);
    raise(SIGSTOP);
    install_filter();
    execve(trial->arguments[0], trial->arguments, trial->environment);
    _exit(127);
}

/* --- what it is stopped at ---------------------------------------------------------------------
 */

/* Finds the library's code in the process. */
static void find_library(pid_t process) {
    char path[64], line[512], *name;
    unsigned long start, end, offset;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)process);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%lx-%lx r-xp %lx", &start, &end, &offset) == 3 &&
            (name = strrchr(line, '/')) != NULL &&
            strncmp(name + 1, run.library, strlen(run.library)) == 0) {
            run.code_start = start;
            run.code_end = end;
            run.code_offset = offset;
        }
    if (file != NULL)
        fclose(file);
}

static bool in_library(pid_t process, uintptr_t at) {
    if (run.code_end == 0)
        find_library(process);
    return at >= run.code_start && at < run.code_end;
}

static bool site_matches(const struct site *site, pid_t process,
                         const struct __ptrace_syscall_info *call) {
    if (site->call != (long)call->seccomp.nr)
        return false;
    if (site->argument >= 0 && (call->seccomp.args[site->argument] & site->mask) != site->value)
        return false;
    return site->from_anywhere || in_library(process, call->instruction_pointer);
}

static bool pattern_has(const struct pattern *pattern, unsigned nth) {
    return nth >= pattern->first && (nth - pattern->first) % pattern->step == 0 &&
           (nth - pattern->first) / pattern->step < pattern->count;
}

static void note_place(uintptr_t *places, size_t *count, size_t most, uintptr_t place) {
    for (size_t i = 0; i < *count; i++)
        if (places[i] == place)
            return;
    if (*count < most)
        places[(*count)++] = place;
}

/* Has the stopped call answer -error without taking place. */
static void skip_call(pid_t process, int error) {
    (void)ptrace(PTRACE_POKEUSER, process, offsetof(struct user_regs_struct, orig_rax), -1L);
    (void)ptrace(PTRACE_POKEUSER, process, offsetof(struct user_regs_struct, rax), (long)-error);
}

/* Has the stopped call answer -error, at once or after it has taken place. */
static void fail_call(struct process *process, const struct site *site, int error) {
    if (site->performed)
        process->answer = error;
    else
        skip_call(process->id, error);
}

/* The call has taken place. */
static void replace_answer(struct process *process) {
    (void)ptrace(PTRACE_POKEUSER, process->id, offsetof(struct user_regs_struct, rax),
                 (long)-process->answer);
    process->answer = 0;
}

static void at_call(struct process *process) {
    struct __ptrace_syscall_info call;
    struct trial *trial = run.trial;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, process->id, sizeof call, &call) <= 0 ||
        call.op != PTRACE_SYSCALL_INFO_SECCOMP)
        return;
    if (call.seccomp.nr == SYS_prctl) {
        if (call.seccomp.args[0] == MARK_OPEN || call.seccomp.args[0] == MARK_CLOSE)
            run.window_open = call.seccomp.args[0] == MARK_OPEN;
        return;
    }
    for (size_t i = 0; i < SITES; i++) {
        const struct site *site = &sites[i];
        if (!site_matches(site, process->id, &call))
            continue;
        if (!site->from_anywhere)
            note_place(places_seen, &places_seen_count, sizeof places_seen / sizeof places_seen[0],
                       call.instruction_pointer - run.code_start + run.code_offset);
        unsigned nth = run.window_open ? ++trial->reached[i] : 0;
        if (site == trial->site && nth != 0 && pattern_has(&trial->pattern, nth)) {
            trial->injected++;
            note_place(trial->places, &trial->place_count, PLACES_MAX,
                       call.instruction_pointer - run.code_start + run.code_offset);
            fail_call(process, site, trial->error);
            return;
        }
        if (site == trial->refusal.site) {
            fail_call(process, site, trial->refusal.error);
            return;
        }
    }
}

/* Hides the vDSO from a program that is about to start. Its stack: the count of arguments, they,
 * NULL, the environment, NULL, pairs of type and value. */
static void hide_vdso(pid_t process) {
    long at = ptrace(PTRACE_PEEKUSER, process, offsetof(struct user_regs_struct, rsp), 0);
    at += (ptrace(PTRACE_PEEKDATA, process, at, 0) + 2) * 8;
    while (ptrace(PTRACE_PEEKDATA, process, at, 0) != 0)
        at += 8;
    for (at += 8; ptrace(PTRACE_PEEKDATA, process, at, 0) != AT_NULL; at += 16)
        if (ptrace(PTRACE_PEEKDATA, process, at, 0) == AT_SYSINFO_EHDR)
            (void)ptrace(PTRACE_POKEDATA, process, at, AT_IGNORE);
}

/* --- the run --------------------------------------------------------------------------------- */

/* NULL when there is no room for one more. */
static struct process *process_of(pid_t id, bool *is_new) {
    struct process *free_one = NULL;
    *is_new = false;
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (run.alive[i].id == id)
            return &run.alive[i];
        if (run.alive[i].id == 0)
            free_one = &run.alive[i];
    }
    *is_new = true;
    if (free_one != NULL)
        *free_one = (struct process){id, 0};
    return free_one;
}

/* Returns whether any is left. */
static bool now_dead(pid_t id) {
    bool any = false;
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (run.alive[i].id == id)
            run.alive[i].id = 0;
        any |= run.alive[i].id != 0;
    }
    return any;
}

static void kill_all(void) {
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        if (run.alive[i].id != 0)
            kill(run.alive[i].id, SIGKILL);
}

/* Goes on from one stop. */
static void at_stop(pid_t id, int status) {
    int event = status >> 16, signal_number = WSTOPSIG(status);
    bool is_new;
    struct process *process = process_of(id, &is_new);
    if (process == NULL) {
        kill(id, SIGKILL);
        return;
    }
    if (event == 0 && signal_number == SIGTRAP && process->answer != 0)
        replace_answer(process);
    else if (event == PTRACE_EVENT_SECCOMP)
        at_call(process);
    else if (event == PTRACE_EVENT_EXEC && run.trial->without_vdso)
        hide_vdso(id);
    /* A new one's first stop is ours, as are events; all other signals are the program's. */
    bool ours = event != 0 || is_new || signal_number == SIGTRAP;
    (void)ptrace(process->answer != 0 ? PTRACE_SYSCALL : PTRACE_CONT, id, 0,
                 ours ? 0 : signal_number);
}

static void follow_to_the_end(void) {
    int status;
    bool any = true;
    while (any) {
        pid_t process = waitpid(-1, &status, __WALL);
        if (timed_out) {
            kill_all();
            timed_out = 0;
            run.trial->status = TIMED_OUT;
        }
        if (process < 0 && errno == EINTR)
            continue;
        if (process < 0)
            return;
        if (WIFSTOPPED(status)) {
            at_stop(process, status);
            continue;
        }
        if (process == run.main && run.trial->status != TIMED_OUT)
            run.trial->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        any = now_dead(process);
    }
}

static void read_back(int fd, char *text, size_t capacity) {
    ssize_t length = pread(fd, text, capacity - 1, 0);
    text[length > 0 ? length : 0] = '\0';
}

void supervise(struct trial *trial, const char *library) {
    const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                         PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    int verdict_fd = memfd_create("verdict", 0);
    int messages_fd = memfd_create("messages", 0), status;
    memset(&run, 0, sizeof run);
    memset(trial->reached, 0, sizeof trial->reached);
    trial->injected = 0;
    trial->place_count = 0;
    trial->status = CANNOT_TRACE;
    run.trial = trial;
    run.library = library;
    run.window_open = true;
    fflush(NULL);
    run.main = fork();
    if (run.main == 0)
        become_program(trial, verdict_fd, messages_fd);
    bool is_new;
    (void)process_of(run.main, &is_new);
    struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART: waitpid shall return */
    sigaction(SIGALRM, &action, NULL);
    alarm(LIMIT_SECONDS);
    if (waitpid(run.main, &status, 0) == run.main && WIFSTOPPED(status) &&
        ptrace(PTRACE_SETOPTIONS, run.main, 0, options) == 0) {
        trial->status = 0;
        (void)ptrace(PTRACE_CONT, run.main, 0, 0);
        follow_to_the_end();
    }
    alarm(0);
    read_back(verdict_fd, trial->verdict, sizeof trial->verdict);
    read_back(messages_fd, trial->messages, sizeof trial->messages);
    close(verdict_fd);
    close(messages_fd);
}
