/* run_cell: runs one command of a sweep, measures it, keeps what it printed, and writes a record of
 * it.
 *
 * The record is written last and at once, after the output is on the disk: a run has been done if
 * and only if its record is there. Whoever is killed, nothing of the run goes on: run_cell is two
 * processes. The second does the work; the first, which others see, ends when its parent does, and
 * the second when the first does. Each takes up what loses its parent below it, so that it is there
 * to end the rest when the other, or COMMAND, has been killed.
 */
#include "run_cell.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MAX_S 1e8

struct options {
    const char *record, *output, *errors, *setup, *teardown;
    double timeout_s; /* 0: none */
    char **command;
};

static int conductor = -1; /* descriptor; -1: none */

void fail(int status, const char *format, ...) {
    char words[4096] = "!"; /* no path begins so: each is what --record says, or a reason */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words + 1, sizeof words - 1, format, arguments);
    va_end(arguments);
    fprintf(stderr, "run_cell: %s\n", words + 1);
    if (conductor >= 0)
        (void)send(conductor, words, strlen(words), MSG_NOSIGNAL | MSG_DONTWAIT);
    exit(status);
}

/* --- the command line ------------------------------------------------------------------------ */

static void print_help(void) {
    fputs(
        "Usage: run_cell --record FILE --output FILE --errors FILE [OPTION...] -- COMMAND [ARGUMENT...]\n"
        "Runs COMMAND once for harness/run_matrix.sh, measures it, and writes a record of it. COMMAND's\n"
        "standard input is empty, and its descriptors above 2 are closed; it ends when run_cell does.\n"
        "\n"
        "  --record FILE      JSON, written whole, last, once the output is on the disk: started_at (UTC),\n"
        "                     wall_s, user_s, system_s (seconds), peak_memory_bytes, minor_faults,\n"
        "                     major_faults, voluntary_switches, involuntary_switches, exit_status,\n"
        "                     signal, timed_out of COMMAND and the children it waited for\n"
        "                     (getrusage(2)); setup_status, teardown_status; ended_processes\n"
        "  --output FILE      gets COMMAND's standard output\n"
        "  --errors FILE      gets its standard error, and all that --setup and --teardown print\n"
        "  --setup CMD        /bin/sh -c CMD before it; when that fails, COMMAND is not run\n"
        "                     (default: none)\n"
        "  --teardown CMD     /bin/sh -c CMD after it, whatever became of it (default: none)\n"
        "  --timeout SECONDS  of each of the three; past it, its process group gets SIGTERM, and 2 s\n"
        "                     later SIGKILL (default: none)\n"
        "  --conductor FD     a SOCK_SEQPACKET socket: gets FILE of --record once that is on the disk,\n"
        "                     and run_cell then waits for a byte; or gets '!' and why there is none\n"
        "  --help             this text\n"
        "\n"
        "Processes that are still there after --teardown are ended, and counted: ended_processes.\n"
        "SIGINT, SIGTERM and SIGHUP end everything: no --teardown, no record.\n"
        "Exit status: COMMAND's; 128+N when signal N ended it, or run_cell; 124 timed out; 125 --setup\n"
        "or --teardown failed; 126 COMMAND cannot be executed, 127 it is not there; 120 run_cell could\n"
        "not do its own work (there is then no record); 2 bad usage.\n",
        stdout);
}

static double parse_timeout(const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds > 0 && seconds <= TIMEOUT_MAX_S))
        fail(STATUS_USAGE, "--timeout: '%.40s' is not accepted; seconds, above 0 to 1e8, are",
             text);
    return seconds;
}

static int parse_conductor(const char *text) {
    char *end;
    long descriptor = strtol(text, &end, 10);
    int kind = 0;
    if (end == text || *end != '\0' || descriptor < 3 || descriptor > 1 << 30 ||
        getsockopt((int)descriptor, SOL_SOCKET, SO_TYPE, &kind, &(socklen_t){sizeof kind}) != 0 ||
        kind != SOCK_SEQPACKET)
        fail(STATUS_USAGE,
             "--conductor: '%.40s' is not accepted; the number, above 2, of an open SOCK_SEQPACKET "
             "socket is",
             text);
    return (int)descriptor;
}

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

static void take_option(struct options *options, int option, const char *word) {
    switch (option) {
    case 'r':
        options->record = optarg;
        break;
    case 'o':
        options->output = optarg;
        break;
    case 'e':
        options->errors = optarg;
        break;
    case 's':
        options->setup = optarg;
        break;
    case 't':
        options->teardown = optarg;
        break;
    case 'T':
        options->timeout_s = parse_timeout(optarg);
        break;
    case 'c':
        conductor = parse_conductor(optarg);
        break;
    case 'h':
        print_help();
        exit(fflush(stdout) == 0 ? 0 : STATUS_OWN_FAILURE);
    case ':':
        fail(STATUS_USAGE, "%.60s: a value is missing; --help says which", word);
    default:
        fail(STATUS_USAGE, "%.60s: not an option here; --help lists them", word);
    }
}

static struct options parse_options(int argc, char **argv) {
    struct options options = {0};
    opterr = 0;
    for (;;) {
        const char *word = argv[optind];
        int option = getopt_long(argc, argv, "+:h", names, NULL);
        if (option == -1)
            break;
        take_option(&options, option, word);
    }
    options.command = argv + optind;
    if (options.record == NULL || options.output == NULL || options.errors == NULL)
        fail(STATUS_USAGE, "--%s is needed: the file that gets %s",
             options.record == NULL   ? "record"
             : options.output == NULL ? "output"
                                      : "errors",
             options.record == NULL   ? "the record"
             : options.output == NULL ? "the command's output"
                                      : "what is printed on standard error");
    if (*options.command == NULL)
        fail(STATUS_USAGE, "no command is given; it is expected after --");
    return options;
}

/* --- the work --------------------------------------------------------------------------------- */

static int open_or_fail(const char *path, int flags) {
    int file = open(path, flags | O_CLOEXEC, 0666);
    if (file < 0)
        fail(STATUS_OWN_FAILURE, "%s: %s", path, strerror(errno));
    return file;
}

/* Nothing that is opened later may take the place of one of them. */
static void open_standard_descriptors(void) {
    int file;
    while ((file = open("/dev/null", O_RDWR)) >= 0 && file <= 2)
        continue;
    if (file < 0)
        fail(STATUS_OWN_FAILURE, "/dev/null: %s", strerror(errno));
    close(file);
}

static void sync_file(int file, const char *path) {
    if (fsync(file) != 0 && errno != EINVAL) /* a device or a pipe */
        fail(STATUS_OWN_FAILURE, "%s: %s", path, strerror(errno));
}

static struct outcome run_words(const char *words, const struct surroundings *surroundings) {
    struct surroundings all_to_errors = *surroundings;
    all_to_errors.output = surroundings->errors;
    if (words == NULL)
        return (struct outcome){.ran = false};
    return process_run((char *const[]){"/bin/sh", "-c", (char *)words, NULL}, &all_to_errors);
}

/* Nothing is measured that nobody waits for. */
static void find_conductor(void) {
    struct pollfd there = {.fd = conductor};
    if (conductor >= 0 && poll(&there, 1, 0) > 0)
        fail(STATUS_OWN_FAILURE, "--conductor %d: the other end is closed", conductor);
}

/* Tells the conductor, and waits for its leave: nothing else is measured before it has read this.
 * When it is gone, the record is there all the same. */
static void report_to_conductor(const struct options *options) {
    char leave;
    signals_unblock();
    if (conductor < 0 ||
        send(conductor, options->record, strlen(options->record), MSG_NOSIGNAL) < 0)
        return;
    while (recv(conductor, &leave, 1, 0) < 0 && errno == EINTR)
        continue;
}

static int exit_status(const struct cell *cell) {
    if (cell->command.timed_out || cell->setup.timed_out || cell->teardown.timed_out)
        return STATUS_TIMED_OUT;
    if (cell->setup.status != 0 || cell->teardown.status != 0)
        return STATUS_SETUP_FAILED;
    return shell_status(cell->command.status);
}

static int do_cell(const struct options *options) {
    struct record_place place;
    struct cell cell = {.started_at = time(NULL)};
    find_conductor();
    record_begin(&place, options->record);
    int writing = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND;
    struct surroundings surroundings = {.input = open_or_fail("/dev/null", O_RDONLY),
                                        .output = open_or_fail(options->output, writing),
                                        .errors = open_or_fail(options->errors, writing),
                                        .timeout_s = options->timeout_s};
    cell.setup = run_words(options->setup, &surroundings);
    if (cell.setup.status == 0) {
        cell.started_at = time(NULL);
        cell.command = process_run(options->command, &surroundings);
    }
    cell.teardown = run_words(options->teardown, &surroundings);
    cell.ended_processes = end_descendants(GRACE_S);
    if (signals_pending() != 0)
        return 128 + signals_pending();
    sync_file(surroundings.output, options->output);
    sync_file(surroundings.errors, options->errors);
    record_write(&place, &cell);
    report_to_conductor(options);
    return exit_status(&cell);
}

/* Waits for the process that does the work, and ends what it leaves when it was killed. */
static int watch(pid_t worker) {
    int status = process_watch(worker);
    int left = end_descendants(WIFSIGNALED(status) ? 0 : GRACE_S);
    if (WIFSIGNALED(status) && !signal_asks_for_the_end(WTERMSIG(status)))
        fail(STATUS_OWN_FAILURE,
             "signal %d ended it at its work; %d processes of the run were ended", WTERMSIG(status),
             left);
    return shell_status(status);
}

int main(int argc, char **argv) {
    pid_t parent = getppid();
    open_standard_descriptors();
    struct options options = parse_options(argc, argv);
    signals_take();
    end_with_parent(parent, SIGTERM);
    adopt_orphans();
    pid_t self = getpid(), worker = fork();
    if (worker < 0)
        fail(STATUS_OWN_FAILURE, "fork: %s", strerror(errno));
    if (worker > 0)
        return watch(worker);
    end_with_parent(self, SIGTERM);
    adopt_orphans();
    return do_cell(&options);
}
