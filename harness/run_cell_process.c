/* Starting processes, waiting for them, and ending all that came of them. */
#include "run_cell.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- signals -------------------------------------------------------------------------------- */

static const int ENDING[] = {SIGINT, SIGTERM, SIGHUP};

static sigset_t awaited_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < sizeof ENDING / sizeof *ENDING; i++)
        sigaddset(&set, ENDING[i]);
    return set;
}

void signals_take(void) {
    sigset_t awaited = awaited_signals();
    for (int number = 1; number <= SIGRTMAX; number++)
        (void)signal(number, SIG_DFL); /* an ignored SIGCHLD would take the children's usage away */
    (void)signal(SIGXFSZ, SIG_IGN);    /* the write says it */
    sigprocmask(SIG_SETMASK, &awaited, NULL);
}

void signals_unblock(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

bool signal_asks_for_the_end(int number) {
    for (size_t i = 0; i < sizeof ENDING / sizeof *ENDING; i++)
        if (ENDING[i] == number)
            return true;
    return false;
}

int signals_pending(void) {
    sigset_t pending;
    sigpending(&pending);
    for (size_t i = 0; i < sizeof ENDING / sizeof *ENDING; i++)
        if (sigismember(&pending, ENDING[i]) == 1)
            return ENDING[i];
    return 0;
}

/* Waits for one of these signals; 0 when none came. */
static int next_signal(sigset_t awaited, double most_s) {
    time_t whole_s = (time_t)most_s;
    struct timespec most = {whole_s, (long)((most_s - (double)whole_s) * 1e9)};
    int number = sigtimedwait(&awaited, NULL, &most);
    return number > 0 ? number : 0;
}

static pid_t starter; /* whoever started this process, when it began */

void end_with_parent(int parent, int number) {
    starter = parent;
    prctl(PR_SET_PDEATHSIG, number);
    if (getppid() != parent)
        raise(number);
}

void adopt_orphans(void) {
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        fail(STATUS_OWN_FAILURE, "PR_SET_CHILD_SUBREAPER: %s", strerror(errno));
}

int shell_status(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static struct timespec now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return time;
}

static double seconds_since(struct timespec from) {
    struct timespec to = now();
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* --- all that came of this process ---------------------------------------------------------- */

struct process {
    pid_t pid, parent;
    char state; /* as ps shows it */
};

struct processes {
    struct process *list;
    size_t count, room;
};

static void add_process(struct processes *processes, struct process process) {
    if (processes->count == processes->room) {
        processes->room = processes->room * 2 + 64;
        processes->list = realloc(processes->list, processes->room * sizeof *processes->list);
        if (processes->list == NULL)
            fail(STATUS_OWN_FAILURE, "no memory for a list of processes");
    }
    processes->list[processes->count++] = process;
}

static struct processes read_processes(void) {
    struct processes found = {0};
    DIR *folder = opendir("/proc");
    if (folder == NULL)
        fail(STATUS_OWN_FAILURE, "/proc: %s", strerror(errno));
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[300], line[1024];
        struct process process = {.pid = atoi(entry->d_name)};
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = process.pid > 0 ? fopen(path, "re") : NULL;
        if (file == NULL)
            continue;
        /* "PID (NAME) STATE PARENT": any character may be in the name, and 15 at most. */
        size_t length = fread(line, 1, sizeof line - 1, file);
        fclose(file);
        line[length] = '\0';
        const char *name_end = strrchr(line, ')');
        if (name_end != NULL && sscanf(name_end, ") %c %d", &process.state, &process.parent) == 2)
            add_process(&found, process);
    }
    closedir(folder);
    return found;
}

static bool contains(const struct processes *processes, pid_t pid) {
    for (size_t i = 0; i < processes->count; i++)
        if (processes->list[i].pid == pid)
            return true;
    return false;
}

static struct processes read_descendants(void) {
    struct processes all = read_processes(), ours = {0};
    pid_t self = getpid();
    for (bool more = true; more;) {
        more = false; /* parents mostly come before their children, but numbers wrap around */
        for (size_t i = 0; i < all.count; i++) {
            struct process *process = &all.list[i];
            if (process->parent != self && !contains(&ours, process->parent))
                continue;
            add_process(&ours, *process);
            process->parent = -1; /* taken */
            more = true;
        }
    }
    free(all.list);
    return ours;
}

/* Sends SIGTERM once to each descendant, or SIGKILL; `told` are those that have had one. Returns
 * one that is alive, 0 if none. */
static pid_t signal_descendants(struct processes *told, bool kill_them) {
    struct processes ours = read_descendants();
    pid_t alive = 0;
    for (size_t i = 0; i < ours.count; i++) {
        const struct process *process = &ours.list[i];
        if (process->state == 'Z' || process->state == 'X')
            continue;
        bool is_new = !contains(told, process->pid);
        alive = process->pid;
        if (kill_them || is_new)
            kill(alive, kill_them ? SIGKILL : SIGTERM);
        if (is_new)
            add_process(told, *process);
    }
    free(ours.list);
    return alive;
}

/* Takes up the statuses of children that have ended. False: no child is left. */
static bool reap(void) {
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        continue;
    return pid == 0;
}

int end_descendants(double grace_s) {
    enum { GIVE_UP_S = 10 }; /* from the first SIGKILL */
    struct timespec began = now();
    struct processes told = {0};
    sigset_t child_ended; /* and no other: whoever asked comes to know */
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);
    while (reap()) {
        double waited_s = seconds_since(began);
        pid_t alive = signal_descendants(&told, waited_s >= grace_s);
        if (alive > 0 && waited_s >= grace_s + GIVE_UP_S)
            fail(STATUS_OWN_FAILURE, "process %d, which the run left behind, cannot be ended",
                 (int)alive);
        next_signal(child_ended, 0.005);
    }
    free(told.list);
    return (int)told.count;
}

/* --- one process ---------------------------------------------------------------------------- */

static void close_others(void) {
    if (syscall(SYS_close_range, 3, ~0U, 0) == 0)
        return;
    struct rlimit files; /* before Linux 5.9 */
    bool known = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 1 << 20;
    for (int file = 3; file < (known ? (int)files.rlim_cur : 1 << 20); file++)
        close(file);
}

/* In the child, from fork to exec. */
__attribute__((noreturn)) static void become(char *const *command, pid_t parent,
                                             const struct surroundings *surroundings) {
    setpgid(0, 0);
    end_with_parent(parent, SIGKILL);
    (void)signal(SIGXFSZ, SIG_DFL);
    signals_unblock();
    if (dup2(surroundings->input, 0) < 0 || dup2(surroundings->output, 1) < 0 ||
        dup2(surroundings->errors, 2) < 0)
        _exit(STATUS_OWN_FAILURE);
    close_others();
    execvp(command[0], command);
    int why = errno;
    dprintf(2, "run_cell: %s: %s\n", command[0], strerror(why));
    _exit(why == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE);
}

/* Ends everything; at once when whoever started this process has gone, since another run may begin.
 */
__attribute__((noreturn)) static void interrupt(int number) {
    end_descendants(getppid() == starter ? GRACE_S : 0);
    exit(128 + number);
}

/* Ends the process group when it is past its time; returns how long to wait before looking again.
 */
static double keep_time(pid_t pid, double timeout_s, double ran_s, struct outcome *outcome) {
    if (timeout_s <= 0)
        return 3600;
    double left_s = timeout_s + (outcome->timed_out ? GRACE_S : 0) - ran_s;
    if (left_s > 0)
        return left_s < 3600 ? left_s : 3600;
    kill(-pid, outcome->timed_out ? SIGKILL : SIGTERM);
    bool killed = outcome->timed_out;
    outcome->timed_out = true;
    return killed ? 0.1 : GRACE_S;
}

struct outcome process_run(char *const *command, const struct surroundings *surroundings) {
    struct outcome outcome = {.ran = true};
    pid_t self = getpid(), ended;
    struct timespec began = now();
    pid_t pid = fork();
    if (pid < 0)
        fail(STATUS_OWN_FAILURE, "fork: %s", strerror(errno));
    if (pid == 0)
        become(command, self, surroundings);
    setpgid(pid, pid); /* in both: whichever comes first */
    for (;;) {
        while ((ended = wait4(-1, &outcome.status, WNOHANG, &outcome.usage)) > 0) {
            outcome.wall_s = seconds_since(began);
            if (ended == pid)
                return outcome;
        }
        double most_s = keep_time(pid, surroundings->timeout_s, seconds_since(began), &outcome);
        int number = next_signal(awaited_signals(), most_s);
        if (number > 0 && number != SIGCHLD)
            interrupt(number);
    }
}

int process_watch(int pid) {
    int status;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        int number = next_signal(awaited_signals(), 3600);
        if (number > 0 && number != SIGCHLD)
            kill(pid, number);
    }
    return status;
}
