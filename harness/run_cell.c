/* run_cell: runs one command of a sweep, measures it, keeps what it printed, and writes a record of
 * it.
 *
 * The record is written last and at once, after the output is on the disk: a run has been done if
 * and only if its record is there. Whoever is killed, nothing of the run goes on: this process ends
 * when its parent does, and COMMAND when this process does.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    STATUS_USAGE = 2,
    STATUS_OWN_FAILURE = 120,
    STATUS_TIMED_OUT = 124,
    STATUS_SETUP_FAILED = 125,
    STATUS_CANNOT_EXECUTE = 126,
    STATUS_NOT_FOUND = 127,
    GRACE_S = 2, /* from SIGTERM to SIGKILL */
    NS_PER_S = 1000000000,
};

struct options {
    const char *record, *output, *errors, *setup, *teardown;
    long timeout_s; /* 0: none */
    int conductor;  /* descriptor, -1: none */
    char **command;
};

/* What became of one process. */
struct outcome {
    bool ran;
    int status; /* as wait4 has it */
    bool timed_out;
    double wall_s;
    struct rusage usage;
};

static const struct options
    *options_in_force; /* for fail(), which ends the process from anywhere */

/* Ends run_cell with one line; the conductor hears it too, and so stops the sweep. */
__attribute__((format(printf, 2, 3), noreturn)) static void fail(int status, const char *format,
                                                                 ...) {
    char words[4096] = "!";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words + 1, sizeof words - 1, format, arguments);
    va_end(arguments);
    fprintf(stderr, "run_cell: %s\n", words + 1);
    if (options_in_force && options_in_force->conductor >= 0)
        (void)send(options_in_force->conductor, words, strlen(words), MSG_NOSIGNAL);
    exit(status);
}

static void print_help(void) {
    fputs(
        "Usage: run_cell --record FILE --output FILE --errors FILE [OPTION...] -- COMMAND [ARGUMENT...]\n"
        "Runs COMMAND once for harness/run_matrix.sh, measures it, and writes a record of it. Its standard input is\n"
        "empty; descriptors above 2 are closed in it; it ends when run_cell does.\n"
        "\n"
        "  --record FILE      JSON: wall_s, user_s, system_s (seconds), peak_memory_bytes, minor_faults, major_faults,\n"
        "                     exit_status, signal, ... of COMMAND and the children it waited for (getrusage(2));\n"
        "                     written whole, last, once the output is on the disk\n"
        "  --output FILE      gets COMMAND's standard output\n"
        "  --errors FILE      gets its standard error, and all that --setup and --teardown print\n"
        "  --setup CMD        /bin/sh -c CMD before it; COMMAND is not run when that fails (default: none)\n"
        "  --teardown CMD     /bin/sh -c CMD after it, whatever became of it (default: none)\n"
        "  --timeout SECONDS  of each of the three: then SIGTERM, 2 s later SIGKILL (default: none)\n"
        "  --conductor FD     a SOCK_SEQPACKET socket: gets the record's path once it is on the disk; run_cell then\n"
        "                     waits for a byte\n"
        "  --help             this text\n"
        "\n"
        "What is still running in the end is ended. Exit status: COMMAND's; 128+N when signal N ended it; 124 timed\n"
        "out; 125 --setup or --teardown failed; 126, 127 COMMAND cannot be executed, is not there; 120 run_cell could\n"
        "not do its own work (and then there is no record); 2 bad usage.\n",
        stdout);
}

static long parse_number(const char *option, const char *text, long least, long most) {
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno || end == text || *end || number < least || number > most)
        fail(STATUS_USAGE, "%s: '%s' is not accepted; a whole number from %ld to %ld", option, text,
             least, most);
    return number;
}

static struct options parse_options(int argc, char **argv) {
    static const struct option names[] = {
        {"record", required_argument, NULL, 'r'},
        {"output", required_argument, NULL, 'o'},
        {"errors", required_argument, NULL, 'e'},
        {"setup", required_argument, NULL, 's'},
        {"teardown", required_argument, NULL, 't'},
        {"timeout", required_argument, NULL, 'T'},
        {"conductor", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.conductor = -1};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:h", names, NULL)) != -1) {
        switch (option) {
        case 'r':
            options.record = optarg;
            break;
        case 'o':
            options.output = optarg;
            break;
        case 'e':
            options.errors = optarg;
            break;
        case 's':
            options.setup = optarg;
            break;
        case 't':
            options.teardown = optarg;
            break;
        case 'T':
            options.timeout_s = parse_number("--timeout", optarg, 1, 100000000);
            break;
        case 'c':
            options.conductor = (int)parse_number("--conductor", optarg, 3, 1000000);
            break;
        case 'h':
            print_help();
            exit(fflush(stdout) == 0 ? 0 : 1);
        case ':':
            fail(STATUS_USAGE, "%s needs a value", argv[optind - 1]);
        default:
            fail(STATUS_USAGE, "unknown option '%s'; see run_cell --help", argv[optind - 1]);
        }
    }
    options.command = argv + optind;
    if (!*options.command)
        fail(STATUS_USAGE, "a command is expected after --");
    if (!options.record || !options.output || !options.errors)
        fail(STATUS_USAGE, "--record, --output and --errors are all needed");
    return options;
}

/* The process that started this one must not end unnoticed, nor have ended before that was
 * arranged. */
static void end_with_parent(pid_t parent, int number) {
    prctl(PR_SET_PDEATHSIG, number);
    if (getppid() != parent)
        raise(number);
}

static int open_or_fail(const char *path) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0)
        fail(STATUS_OWN_FAILURE, "%s: %s", path, strerror(errno));
    return file;
}

static void close_others(void) {
    if (syscall(SYS_close_range, 3, ~0U, 0) == 0)
        return;
    for (int file = 3; file < 4096; file++)
        close(file); /* before Linux 5.9 */
}

/* In the child, from fork to exec. */
__attribute__((noreturn)) static void become(char **command, pid_t parent, int output, int errors) {
    sigset_t none;
    setpgid(0, 0);
    end_with_parent(parent, SIGKILL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int empty = open("/dev/null", O_RDONLY);
    if (dup2(empty, 0) < 0 || dup2(output, 1) < 0 || dup2(errors, 2) < 0)
        _exit(STATUS_OWN_FAILURE);
    close_others();
    execvp(command[0], command);
    int why = errno;
    dprintf(2, "run_cell: %s: %s\n", command[0], strerror(why));
    _exit(why == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE);
}

static double seconds_between(struct timespec from, struct timespec to) {
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / NS_PER_S;
}

static struct timespec now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return time;
}

/* Ends every process that came of this one: what lost its parent has become our own child
 * (PR_SET_CHILD_SUBREAPER). Returns how many there were in the first look. */
static int end_descendants(void) {
    struct timespec began = now();
    char path[64];
    int found = -1;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        FILE *file = fopen(path, "re");
        int pid, children = 0;
        bool grace_over = seconds_between(began, now()) > GRACE_S;
        while (file && fscanf(file, "%d", &pid) == 1) {
            kill(pid, grace_over ? SIGKILL : SIGTERM);
            kill(-pid, grace_over ? SIGKILL : SIGTERM); /* its group, where it leads one */
            children++;
        }
        if (file)
            fclose(file);
        if (found < 0)
            found = children;
        if (children == 0)
            return found;
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
    }
}

static const int ENDING[] = {SIGINT, SIGTERM, SIGHUP};

/* The signals that run_until_end() waits for; blocked everywhere else. */
static sigset_t awaited_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < sizeof ENDING / sizeof *ENDING; i++)
        sigaddset(&set, ENDING[i]);
    return set;
}

/* Waits until `pid` has ended, or ends it when it runs past its time. */
static void wait_for(pid_t pid, const struct options *options, struct timespec began,
                     struct outcome *outcome) {
    sigset_t awaited = awaited_signals();
    bool told = false;
    for (;;) {
        pid_t ended;
        int status;
        struct rusage usage;
        while ((ended = wait4(-1, &status, WNOHANG, &usage)) > 0) {
            if (ended != pid)
                continue; /* somebody's child that we have inherited */
            outcome->wall_s = seconds_between(began, now());
            outcome->status = status;
            outcome->usage = usage;
            return;
        }
        struct timespec most = {.tv_sec = 3600};
        if (options->timeout_s) {
            double limit_s = (double)options->timeout_s + (told ? GRACE_S : 0);
            double left_s = limit_s - seconds_between(began, now());
            if (left_s <= 0) {
                kill(-pid, told ? SIGKILL : SIGTERM);
                outcome->timed_out = told = true;
                left_s = told ? 0.1 : GRACE_S;
            }
            most.tv_sec = (time_t)left_s;
            most.tv_nsec = (long)((left_s - (double)most.tv_sec) * NS_PER_S);
        }
        int number = sigtimedwait(&awaited, NULL, &most);
        if (number > 0 && number != SIGCHLD) {
            kill(-pid, SIGTERM);
            end_descendants();
            exit(128 + number);
        }
    }
}

static struct outcome run(char **command, const struct options *options, int output, int errors) {
    struct outcome outcome = {.ran = true};
    pid_t parent = getpid();
    struct timespec began = now();
    pid_t pid = fork();
    if (pid < 0)
        fail(STATUS_OWN_FAILURE, "fork: %s", strerror(errno));
    if (pid == 0)
        become(command, parent, output, errors);
    setpgid(pid, pid); /* in both: whichever comes first */
    wait_for(pid, options, began, &outcome);
    return outcome;
}

static struct outcome run_words(const char *words, const struct options *options, int errors) {
    if (!words)
        return (struct outcome){0};
    return run((char *[]){"/bin/sh", "-c", (char *)words, NULL}, options, errors, errors);
}

/* The exit status as a shell gives it. */
static int shell_status(const struct outcome *outcome) {
    return WIFSIGNALED(outcome->status) ? 128 + WTERMSIG(outcome->status)
                                        : WEXITSTATUS(outcome->status);
}

static void print_part(FILE *file, const char *name, const struct outcome *outcome) {
    if (outcome->ran)
        fprintf(file, ",\n \"%s_status\": %d", name, shell_status(outcome));
    else
        fprintf(file, ",\n \"%s_status\": null", name);
}

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void print_record(FILE *file, const struct outcome *run, const char *started_at,
                         int ended_processes) {
    bool signalled = run->ran && WIFSIGNALED(run->status);
    fprintf(
        file,
        "{\"version\": 1,\n \"started_at\": \"%s\",\n \"wall_s\": %.9f,\n \"user_s\": %.6f,\n \"system_s\": %.6f",
        started_at, run->wall_s, seconds_of(run->usage.ru_utime), seconds_of(run->usage.ru_stime));
    fprintf(file,
            ",\n \"peak_memory_bytes\": %ld,\n \"minor_faults\": %ld,\n \"major_faults\": %ld",
            run->usage.ru_maxrss * 1024, run->usage.ru_minflt, run->usage.ru_majflt);
    fprintf(file, ",\n \"voluntary_switches\": %ld,\n \"involuntary_switches\": %ld",
            run->usage.ru_nvcsw, run->usage.ru_nivcsw);
    if (!run->ran || signalled)
        fprintf(file, ",\n \"exit_status\": null");
    else
        fprintf(file, ",\n \"exit_status\": %d", WEXITSTATUS(run->status));
    fprintf(file, ",\n \"signal\": %d,\n \"timed_out\": %s", signalled ? WTERMSIG(run->status) : 0,
            run->timed_out ? "true" : "false");
    fprintf(file, ",\n \"ended_processes\": %d", ended_processes);
}

/* Makes what is written to the folder of `path` so far last through a power cut. */
static void sync_folder(const char *path) {
    char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    int descriptor = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        fsync(descriptor); /* not every file system can */
        close(descriptor);
    }
    free(folder);
}

/* Writes the record under another name and renames it: it is there whole or not at all. */
static void write_record(const struct options *options, const struct outcome *setup,
                         const struct outcome *run, const struct outcome *teardown,
                         const char *started_at, int ended_processes) {
    char unfinished[4096];
    if (snprintf(unfinished, sizeof unfinished, "%s.tmp", options->record) >=
        (int)sizeof unfinished)
        fail(STATUS_OWN_FAILURE, "%s: %s", options->record, strerror(ENAMETOOLONG));
    FILE *file = fopen(unfinished, "we");
    if (!file)
        fail(STATUS_OWN_FAILURE, "%s: %s", options->record, strerror(errno));
    print_record(file, run, started_at, ended_processes);
    print_part(file, "setup", setup);
    print_part(file, "teardown", teardown);
    fputs("}\n", file);
    if (fflush(file) || fsync(fileno(file)) || rename(unfinished, options->record)) {
        int why = errno;
        unlink(unfinished);
        fail(STATUS_OWN_FAILURE, "%s: %s", options->record, strerror(why));
    }
    fclose(file);
    sync_folder(options->record);
}

/* Tells the conductor, and waits for its leave: nothing else is measured before it has read this.
 */
static void report_to_conductor(const struct options *options) {
    char leave;
    if (options->conductor < 0)
        return;
    if (send(options->conductor, options->record, strlen(options->record), MSG_NOSIGNAL) < 0)
        fail(STATUS_OWN_FAILURE, "--conductor %d: %s", options->conductor, strerror(errno));
    sigset_t awaited = awaited_signals();
    sigprocmask(SIG_UNBLOCK, &awaited, NULL);
    while (recv(options->conductor, &leave, 1, 0) < 0 && errno == EINTR)
        continue;
}

static int exit_status(const struct outcome *setup, const struct outcome *run,
                       const struct outcome *teardown) {
    if (run->timed_out || setup->timed_out || teardown->timed_out)
        return STATUS_TIMED_OUT;
    if (setup->status || teardown->status)
        return STATUS_SETUP_FAILED;
    return shell_status(run);
}

int main(int argc, char **argv) {
    pid_t parent = getppid();
    struct options options = parse_options(argc, argv);
    options_in_force = &options;
    sigset_t awaited = awaited_signals();
    sigprocmask(SIG_BLOCK, &awaited, NULL);
    end_with_parent(parent, SIGTERM);
    prctl(PR_SET_CHILD_SUBREAPER, 1);

    char started_at[32];
    time_t began = time(NULL);
    strftime(started_at, sizeof started_at, "%Y-%m-%dT%H:%M:%SZ", gmtime(&began));
    int output = open_or_fail(options.output), errors = open_or_fail(options.errors);
    struct outcome setup = run_words(options.setup, &options, errors), measured = {0};
    if (setup.status == 0)
        measured = run(options.command, &options, output, errors);
    struct outcome teardown = run_words(options.teardown, &options, errors);
    int ended_processes = end_descendants();
    if (fsync(output) && errno != EINVAL)
        fail(STATUS_OWN_FAILURE, "%s: %s", options.output, strerror(errno));
    if (fsync(errors) && errno != EINVAL)
        fail(STATUS_OWN_FAILURE, "%s: %s", options.errors, strerror(errno));
    write_record(&options, &setup, &measured, &teardown, started_at, ended_processes);
    report_to_conductor(&options);
    return exit_status(&setup, &measured, &teardown);
}
