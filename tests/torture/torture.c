/* Random operations by many threads on the allocator under torture, checked against a model of
 * every block (model.h). Seeds make a thread's operations; how threads interleave is not theirs, so
 * with one thread a run repeats itself. */
#include "calls.h"
#include "operations.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "Usage: torture [OPTION...]\n"
    "Does random operations on the allocator until one goes wrong or the time is up.\n"
    "  --seed S          what the operations are made of                (random)\n"
    "  --threads T       at a time                                      (4)\n"
    "  --seconds N       how long; 0: until --operations are done       (5)\n"
    "  --operations N    of each thread; 0: until the time is up        (0)\n"
    "  --library FILES   to preload, separated by colons                (LD_PRELOAD as it is)\n"
    "  --policy P        NUMA_ALLOC_POLICY                              (as it is)\n"
    "  --min-size BYTES  NUMA_ALLOC_MIN_SIZE\n"
    "  --pages KIND      NUMA_ALLOC_PAGES\n"
    "  --checks on|off   NUMA_ALLOC_CHECKS\n"
    "  --no-forks        no children\n"
    "  --no-signals      no interruptions\n"
    "  --stuck N         seconds without an operation that count as a failure (120)\n"
    "Standard output: one line, name=value for each thing counted. Exit status: 0 nothing was\n"
    "found, 1 a failure (one line says what, one how to repeat it), 2 bad usage, 3 could not run.\n";

/* Memory that is not the allocator's; NULL when there is none. */
static void *map(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* --- the workers' threads --------------------------------------------------------------------- */

static struct worker *workers;
static pthread_t *last_threads; /* of each worker */
static _Atomic(bool) time_is_up;
static _Atomic(unsigned) workers_left;
static _Atomic(uint64_t) threads_started, signals_seen;
static pthread_key_t late_key;

/* One thread of a worker: it joins the one before and starts the one after. */
struct turn {
    struct worker *worker;
    uint64_t nth;
    pthread_t thread, before;
    unsigned late_rounds; /* how often its own data's destructor has run */
};

/* A turn's destructor comes by after the allocator's own and allocates and frees yet. */
static void use_late(void *argument) {
    struct turn *turn = argument;
    struct chance chance =
        chance_of(~settings.seed, turn->worker->number, turn->nth * 4 + turn->late_rounds);
    /* A worker of its own: the real one is another thread's by now. */
    struct worker late = {.number = settings.threads + 1 + turn->worker->number,
                          .keys = chance.state};
    doing = (struct doing){late.number, turn->nth, "a thread's destructor", NULL};
    for (int i = 0; i < 3; i++)
        replace_shared(&late, &chance);
    if (++turn->late_rounds < 3)
        pthread_setspecific(late_key, turn);
    else
        munmap(turn, sizeof *turn);
}

static void *work(void *argument);

static struct turn *turn_new(struct worker *worker, uint64_t nth) {
    struct turn *turn = map(sizeof *turn);
    if (turn == NULL)
        return NULL;
    turn->worker = worker;
    turn->nth = nth;
    return turn;
}

/* False: no thread can be had now. */
static bool turn_start(struct worker *worker, uint64_t nth, pthread_t before) {
    struct turn *turn = turn_new(worker, nth);
    pthread_t thread;
    if (turn == NULL)
        return false;
    turn->before = before;
    if (pthread_create(&thread, NULL, work, turn) != 0) {
        munmap(turn, sizeof *turn);
        return false;
    }
    atomic_fetch_add(&threads_started, 1);
    return true;
}

static bool is_done(const struct worker *worker) {
    return atomic_load_explicit(&time_is_up, memory_order_relaxed) ||
           (settings.operations != 0 &&
            atomic_load_explicit(&worker->operation, memory_order_relaxed) >= settings.operations);
}

/* Some threads live for one operation, most for thousands. */
static uint64_t draw_life(const struct turn *turn) {
    struct chance chance = chance_of(settings.seed + 1, turn->worker->number, turn->nth);
    return 1 + (draw(&chance, 8) == 0 ? draw(&chance, 50) : draw(&chance, 40000));
}

static void *work(void *argument) {
    struct turn *turn = argument;
    struct worker *worker = turn->worker;
    bool joined = turn->nth == 0;
    if (!joined && settings.threads == 1) /* one at a time, or it would not repeat itself */
        joined = pthread_join(turn->before, NULL) == 0;
    pthread_setspecific(late_key, turn);
    for (uint64_t left = draw_life(turn); !is_done(worker); left--) {
        struct chance chance = chance_of(settings.seed, worker->number, worker->operation);
        operate(worker, &chance);
        if (left == 1 && !joined)
            joined = pthread_join(turn->before, NULL) == 0;
        if (left == 1 && turn_start(worker, turn->nth + 1, pthread_self()))
            return NULL;
        if (left == 1)
            left = draw_life(turn);
    }
    if (!joined)
        pthread_join(turn->before, NULL);
    last_threads[worker->number] = pthread_self();
    atomic_fetch_sub(&workers_left, 1);
    return NULL;
}

/* --- interruptions ---------------------------------------------------------------------------- */

static void interrupted(int number) {
    (void)number;
    atomic_fetch_add_explicit(&signals_seen, 1, memory_order_relaxed);
}

/* Without SA_RESTART: calls into the kernel are cut short. */
static void begin_interruptions(void) {
    struct sigaction action = {.sa_handler = interrupted};
    struct itimerval often = {{0, 1700}, {0, 1700}};
    sigaction(SIGALRM, &action, NULL);
    if (settings.signals)
        setitimer(ITIMER_REAL, &often, NULL);
}

static void end_interruptions(void) {
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
}

/* --- the run ---------------------------------------------------------------------------------- */

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t operations_done(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < settings.threads; i++)
        sum += atomic_load(&workers[i].operation);
    return sum;
}

/* Waits until all workers have ended; fails when nothing is done for too long. */
static void watch(double started) {
    uint64_t seen = 0;
    double seen_at = started;
    while (atomic_load(&workers_left) > 0) {
        struct timespec nap = {0, 2000000};
        nanosleep(&nap, NULL);
        double now = seconds_now();
        uint64_t operations = operations_done();
        if (operations != seen) {
            seen = operations;
            seen_at = now;
        }
        if (now - seen_at > settings.stuck_seconds) {
            doing.what = "watching";
            fail("no thread has done anything for %u seconds", settings.stuck_seconds);
        }
        if (settings.seconds != 0 && now - started >= settings.seconds)
            atomic_store(&time_is_up, true);
    }
}

/* What the statistics count as live, once all that ended threads left is collected. */
static uint64_t live_bytes(void) {
    struct na_stats stats = {.struct_bytes = sizeof stats};
    if (calls.na_stats == NULL)
        return 0;
    (void)calls.na_purge();
    return calls.na_stats(&stats) == 0 ? stats.live_bytes : 0;
}

/* The threads' stacks and what libc keeps for them may stay. */
static void check_leaks(uint64_t before) {
    uint64_t after = live_bytes();
    if (after > before + 256 * KIB)
        fail("%zu bytes are live after all blocks were freed, %zu were before", (size_t)after,
             (size_t)before);
}

static bool make_workers(void) {
    unsigned threads = settings.threads;
    workers = map(threads * sizeof *workers);
    last_threads = map(threads * sizeof *last_threads);
    struct slot *slots = map(threads * PRIVATE_SLOTS * sizeof *slots);
    if (workers == NULL || last_threads == NULL || slots == NULL)
        return false;
    for (unsigned i = 0; i < threads; i++) {
        workers[i].number = i;
        workers[i].slots = slots + (size_t)i * PRIVATE_SLOTS;
    }
    return pthread_key_create(&late_key, use_late) == 0;
}

static bool start_workers(void) {
    atomic_store(&workers_left, settings.threads);
    for (unsigned i = 0; i < settings.threads; i++)
        if (!turn_start(&workers[i], 0, pthread_self()))
            return false;
    return true;
}

static int cannot_run(const char *why) {
    fprintf(stderr, "torture: %s\n", why);
    return 3;
}

static int run(void) {
    if (!make_workers())
        return cannot_run("no memory for the workers");
    report_crashes();
    uint64_t live_before = live_bytes(), forks = 0;
    double started = seconds_now();
    begin_interruptions();
    if (!start_workers())
        return cannot_run("a thread cannot be started");
    watch(started);
    end_interruptions();
    for (unsigned i = 0; i < settings.threads; i++)
        pthread_join(last_threads[i], NULL);
    free_all(workers, settings.threads);
    check_leaks(live_before);
    for (unsigned i = 0; i < settings.threads; i++)
        forks += workers[i].forks;
    printf("seed=%llu threads=%u operations=%llu seconds=%.1f started=%llu forks=%llu "
           "signals=%llu\n",
           (unsigned long long)settings.seed, settings.threads,
           (unsigned long long)operations_done(), seconds_now() - started,
           (unsigned long long)threads_started, (unsigned long long)forks,
           (unsigned long long)signals_seen);
    return 0;
}

/* --- options ---------------------------------------------------------------------------------- */

/* Options that are environment variables: the library reads those before main runs. */
static struct variable {
    const char *option, *name, *value;
} variables[] = {
    {"--library", "LD_PRELOAD", NULL},           {"--policy", "NUMA_ALLOC_POLICY", NULL},
    {"--min-size", "NUMA_ALLOC_MIN_SIZE", NULL}, {"--pages", "NUMA_ALLOC_PAGES", NULL},
    {"--checks", "NUMA_ALLOC_CHECKS", NULL},
};

#define VARIABLES (sizeof variables / sizeof *variables)

static int usage(const char *what, const char *value) {
    fprintf(stderr, "torture: %s '%s'; --help lists what is accepted\n", what, value);
    return 2;
}

static bool read_number(const char *text, uint64_t *number) {
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0';
}

/* Options whose value is a number. */
static bool take_number(const char *option, uint64_t number) {
    if (strcmp(option, "--seed") == 0)
        settings.seed = number;
    else if (strcmp(option, "--threads") == 0 && number >= 1 && number <= 256)
        settings.threads = (unsigned)number;
    else if (strcmp(option, "--seconds") == 0 && number <= 1000000)
        settings.seconds = (unsigned)number;
    else if (strcmp(option, "--operations") == 0)
        settings.operations = number;
    else if (strcmp(option, "--stuck") == 0 && number >= 1 && number <= 1000000)
        settings.stuck_seconds = (unsigned)number;
    else
        return false;
    return true;
}

static bool take_variable(const char *option, const char *value) {
    for (size_t i = 0; i < VARIABLES; i++)
        if (strcmp(option, variables[i].option) == 0) {
            variables[i].value = value;
            return true;
        }
    return false;
}

/* Returns -1, or an exit status. */
static int read_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        uint64_t number;
        if (strcmp(argv[i], "--help") == 0)
            return fputs(help, stdout) < 0;
        if (strcmp(argv[i], "--no-forks") == 0) {
            settings.forks = false;
            continue;
        }
        if (strcmp(argv[i], "--no-signals") == 0) {
            settings.signals = false;
            continue;
        }
        if (i + 1 == argc)
            return usage("unknown, or without its value:", argv[i]);
        if (!take_variable(argv[i], argv[i + 1]) &&
            !(read_number(argv[i + 1], &number) && take_number(argv[i], number)))
            return usage("bad option or value:", argv[i]);
        i++;
    }
    if (settings.seconds == 0 && settings.operations == 0)
        return usage("without an end: --seconds and --operations are", "0");
    return -1;
}

/* Becomes itself with the environment asked for, unless it is there. Returns when it is. */
static void take_environment(char **argv) {
    bool changed = false;
    for (size_t i = 0; i < VARIABLES; i++) {
        const struct variable *variable = &variables[i];
        const char *before = getenv(variable->name);
        if (variable->value == NULL || (before != NULL && strcmp(before, variable->value) == 0))
            continue;
        setenv(variable->name, variable->value, 1);
        changed = true;
    }
    if (!changed)
        return;
    execv("/proc/self/exe", argv);
    perror("torture: exec");
    exit(3);
}

static void write_again(const char *program) {
    static char again[1024];
    size_t used = (size_t)snprintf(again, sizeof again, "%s", program);
    for (size_t i = 0; i < VARIABLES && used < sizeof again; i++) {
        const char *value = getenv(variables[i].name);
        if (value != NULL)
            used += (size_t)snprintf(again + used, sizeof again - used, " %s %s",
                                     variables[i].option, value);
    }
    if (used < sizeof again)
        snprintf(again + used, sizeof again - used,
                 " --seed %llu --threads %u --seconds %u --operations %llu%s%s",
                 (unsigned long long)settings.seed, settings.threads, settings.seconds,
                 (unsigned long long)settings.operations, settings.forks ? "" : " --no-forks",
                 settings.signals ? "" : " --no-signals");
    settings.again = again;
}

/* --- the machine ------------------------------------------------------------------------------ */

/* Nodes below 64 of a list such as "0,2-3" after `field` (NULL: at the start) of a file. */
static uint64_t read_nodes(const char *path, const char *field) {
    char line[4096];
    uint64_t mask = 0;
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        size_t skipped = field == NULL ? 0 : strlen(field);
        if (field != NULL && strncmp(line, field, skipped) != 0)
            continue;
        char *at = line + skipped;
        do {
            unsigned long first = strtoul(at, &at, 10), last = first;
            if (*at == '-')
                last = strtoul(at + 1, &at, 10);
            for (; first <= last && first < 64; first++)
                mask |= UINT64_C(1) << first;
        } while (*at++ == ',');
        break;
    }
    if (file != NULL)
        fclose(file);
    return mask;
}

static size_t read_size(const char *text) {
    char *end;
    size_t size = text == NULL ? 0 : strtoull(text, &end, 10);
    if (size == 0)
        return 0;
    return *end == 'K' ? size << 10 : *end == 'M' ? size << 20 : *end == 'G' ? size << 30 : size;
}

int main(int argc, char **argv) {
    settings = (struct settings){
        .threads = 4, .seconds = 5, .stuck_seconds = 120, .forks = true, .signals = true};
    if (getrandom(&settings.seed, sizeof settings.seed, 0) < 0)
        settings.seed = (uint64_t)getpid();
    settings.seed >>= 16; /* shorter to read out */
    int status = read_options(argc, argv);
    if (status >= 0)
        return status;
    take_environment(argv);
    calls_find();
    settings.policy = getenv("NUMA_ALLOC_POLICY");
    settings.min_size_bytes = read_size(getenv("NUMA_ALLOC_MIN_SIZE"));
    settings.node_mask = read_nodes("/sys/devices/system/node/has_memory", NULL) &
                         read_nodes("/proc/self/status", "Mems_allowed_list:");
    write_again(argv[0]);
    fprintf(stderr, "torture: seed %llu, %u threads\n", (unsigned long long)settings.seed,
            settings.threads);
    return run();
}
