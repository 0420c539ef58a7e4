/*
 * Fails the allocator's system calls one after the other and looks whether its promises hold.
 *
 *     build/tests/injection/inject [--quick] [--site NAME] [--setting NAME] [--places]
 *
 * For every setting, site and errno: the n-th call alone, for every n that the workload reaches
 * (--quick: a few, in one setting, with one errno), then runs of calls, every other call, and all
 * of them. Prints TAP, and a table; with --places also the addresses in the library where calls
 * were met. Exit status: 0 all promises held, 1 not, 2 bad usage.
 */
#include "supervise.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIBRARY    "numa_alloc.so"
#define CHECKS     "NUMA_ALLOC_CHECKS=on"
#define GUARD_SITE "madvise GUARD_INSTALL"

enum {
    ARGUMENTS_MAX = 6,
    ENVIRONMENT_MAX = 8,
    SAMPLES = 40, /* of the n-th calls, where a workload reaches more than that */
    SAMPLES_QUICK = 4,
    EXTRA_KIB_MAX = 3 * 1024, /* more that may be mapped: chunks of descriptions, arenas' ends */
    RESIDENT_KIB_MAX = 1536,  /* more that may be resident: descriptions, and the program's noise */
    MAPPINGS_MORE_MAX = 24,   /* more mappings: smaller arenas, each with its policy */
    GUARDS_MORE_MAX = 128,    /* and guards, once the kernel has refused to mark them */
};

/* How the program is run. */
static const struct setting {
    const char *name;
    const char *workload; /* its first argument */
    const char *environment[ENVIRONMENT_MAX];
    bool without_vdso, quick;
    struct {
        const char *site; /* NULL: none; else answered so throughout */
        int error;
    } refused;
} settings[] = {
    {.name = "bind",
     .workload = "lap",
     .environment = {"NUMA_ALLOC_POLICY=bind:%", "NUMA_ALLOC_STATS=stderr"},
     .quick = true},
    {.name = "preferred", .workload = "lap", .environment = {"NUMA_ALLOC_POLICY=preferred:%"}},
    {.name = "interleave", .workload = "lap", .environment = {"NUMA_ALLOC_POLICY=interleave:all"}},
    {.name = "weighted", .workload = "lap", .environment = {"NUMA_ALLOC_POLICY=weighted:%=3"}},
    {.name = "local",
     .workload = "lap",
     .environment = {"NUMA_ALLOC_POLICY=local"},
     .without_vdso = true,
     .quick = true},
    {.name = "none",
     .workload = "lap",
     .environment = {"NUMA_ALLOC_POLICY=none", "NUMA_ALLOC_STATS=/dev/null"}},
    {.name = "thp", .workload = "lap", .environment = {"NUMA_ALLOC_PAGES=thp"}},
    {.name = "2M", .workload = "lap", .environment = {"NUMA_ALLOC_PAGES=2M"}},
    {.name = "touched",
     .workload = "lap",
     .environment = {"NUMA_ALLOC_POLICY=bind:%"},
     .refused = {"mbind", EPERM},
     .quick = true},
    {.name = "idle", .workload = "idle", .environment = {"NUMA_ALLOC_POLICY=bind:%"}},
    {.name = "checks",
     .workload = "lap",
     .environment = {"NUMA_ALLOC_POLICY=bind:%", CHECKS},
     .quick = true},
    {.name = "checks, local",
     .workload = "lap",
     .environment = {"NUMA_ALLOC_POLICY=local", CHECKS}},
    {.name = "checks, idle",
     .workload = "idle",
     .environment = {"NUMA_ALLOC_POLICY=bind:%", CHECKS}},
    {.name = "checks, touched",
     .workload = "lap",
     .environment = {"NUMA_ALLOC_POLICY=bind:%", CHECKS},
     .refused = {"mbind", EPERM}},
    {.name = "checks, guards mapped",
     .workload = "lap",
     .environment = {CHECKS},
     .refused = {GUARD_SITE, EINVAL}},
};

#define SETTINGS (sizeof settings / sizeof settings[0])

/* What was counted of a site with an errno, over all settings. */
static struct tally {
    unsigned trials, injected, absorbed, refused, stopped, broken;
} tallies[SITES][ERRORS_MAX];

/* Beyond what the statistics account for, in a run without failures. */
struct usage {
    long refused, extra_kib, resident_kib, mappings;
};

static int lowest_node; /* with memory: % in an environment */
static bool quick, print_places;
static const char *only_site, *only_setting;
static unsigned tests, failed_tests;
static char workload_path[PATH_MAX], preload[PATH_MAX + 16];

/* --- one trial ------------------------------------------------------------------------------- */

static bool is_refused_by(const struct setting *setting, const struct site *site) {
    return setting->refused.site != NULL && strcmp(setting->refused.site, site->name) == 0;
}

/* Fills in a trial's command; `words` is room for its environment. */
static void prepare(struct trial *trial, const struct setting *setting, char *arguments[],
                    char *environment[], char words[ENVIRONMENT_MAX][64]) {
    size_t count = 0;
    arguments[0] = workload_path;
    arguments[1] = (char *)(uintptr_t)setting->workload;
    arguments[2] = NULL;
    environment[count++] = preload;
    for (size_t i = 0; i < ENVIRONMENT_MAX && setting->environment[i] != NULL; i++) {
        const char *text = setting->environment[i], *node = strchr(text, '%');
        if (node == NULL)
            snprintf(words[i], 64, "%s", text);
        else
            snprintf(words[i], 64, "%.*s%d%s", (int)(node - text), text, lowest_node, node + 1);
        environment[count++] = words[i];
    }
    environment[count] = NULL;
    trial->arguments = arguments;
    trial->environment = environment;
    trial->without_vdso = setting->without_vdso;
    trial->refusal.site = NULL;
    for (size_t i = 0; i < SITES; i++)
        if (is_refused_by(setting, &sites[i]) && &sites[i] != trial->site)
            trial->refusal = (struct refusal){&sites[i], setting->refused.error};
}

/* What is wrong with a run, or NULL. */
static const char *judge(const struct trial *trial, const struct usage *clean,
                         struct usage *usage) {
    unsigned lines = 0;
    for (const char *at = trial->messages; (at = strstr(at, "numa_alloc: ")) != NULL; at++)
        lines++;
    if (trial->status == TIMED_OUT)
        return "hangs";
    if (trial->status < 0)
        return "crashes";
    if (trial->status != 0 && trial->verdict[0] != '\0')
        return trial->verdict;
    if (trial->status != 0)
        return "ends early";
    if (sscanf(trial->verdict, "refused %ld extra_kib %ld resident_kib %ld mappings %ld",
               &usage->refused, &usage->extra_kib, &usage->resident_kib, &usage->mappings) != 4)
        return "has no verdict";
    if (lines > 2) /* about placement, and about huge pages */
        return "says more than one line";
    if (clean == NULL)
        return NULL;
    if (usage->extra_kib > clean->extra_kib + EXTRA_KIB_MAX)
        return "address space is lost";
    if (usage->resident_kib > clean->resident_kib + RESIDENT_KIB_MAX)
        return "memory is lost";
    bool more_guards = strcmp(trial->site->name, GUARD_SITE) == 0;
    if (usage->mappings > clean->mappings + MAPPINGS_MORE_MAX + (more_guards ? GUARDS_MORE_MAX : 0))
        return "mappings are lost";
    return NULL;
}

static void show(const struct trial *trial, const struct usage *usage, const char *problem) {
    printf("# call %u", trial->pattern.first);
    if (trial->pattern.count == UINT_MAX)
        printf(" and every%s after it", trial->pattern.step == 1 ? " one" : " other");
    else if (trial->pattern.count > 1)
        printf(" and %u more", trial->pattern.count - 1);
    printf(": %s (status %d, refused %ld, extra %ld KiB, resident %ld KiB, mappings %ld); at",
           problem, trial->status, usage->refused, usage->extra_kib, usage->resident_kib,
           usage->mappings);
    for (size_t i = 0; i < trial->place_count && i < 4; i++)
        printf(" 0x%lx", (unsigned long)trial->places[i]);
    puts("");
    if (trial->status != 0)
        for (const char *line = trial->messages; *line != '\0';) {
            int length = (int)strcspn(line, "\n");
            printf("#   %.*s\n", length, line);
            line += length + (line[length] == '\n');
        }
}

/* --- all trials of a site with an errno ------------------------------------------------------- */

struct group {
    const struct setting *setting;
    const struct usage *clean;
    struct tally *tally;
    unsigned shown;
};

/* Returns whether the pattern's first call was reached. */
static bool try_pattern(struct group *group, struct trial *trial, struct pattern pattern) {
    char *arguments[ARGUMENTS_MAX], *environment[ENVIRONMENT_MAX + 2], words[ENVIRONMENT_MAX][64];
    struct usage usage = {0, 0, 0, 0};
    trial->pattern = pattern;
    prepare(trial, group->setting, arguments, environment, words);
    supervise(trial, LIBRARY);
    if (trial->injected == 0)
        return false;
    const char *problem = judge(trial, group->clean, &usage);
    group->tally->trials++;
    group->tally->injected += trial->injected;
    if (problem != NULL) {
        group->tally->broken++;
        if (group->shown++ < 6)
            show(trial, &usage, problem);
    } else if (usage.refused > 0) {
        group->tally->refused++;
    } else {
        group->tally->absorbed++;
    }
    return true;
}

/* The n-th call alone; then three in a row, every other one, and all from some call on, where the
 * caller may give up. `reached`: calls of a run without failures. */
static void try_patterns(struct group *group, struct trial *trial, unsigned reached) {
    const unsigned samples = quick ? SAMPLES_QUICK : SAMPLES;
    unsigned step = reached <= samples ? 1 : (reached + samples - 1) / samples;
    int most = trial->site->most_in_a_row;
    for (unsigned nth = 1; nth <= reached; nth += nth < samples / 2 ? 1 : step)
        (void)try_pattern(group, trial, (struct pattern){nth, 1, 1});
    (void)try_pattern(group, trial, (struct pattern){2, 2, most == 0 ? UINT_MAX : 100});
    for (unsigned nth = 1; nth <= reached; nth += quick ? reached : (reached + 7) / 8) {
        (void)try_pattern(group, trial, (struct pattern){nth, 1, 3});
        if (most == 0)
            (void)try_pattern(group, trial, (struct pattern){nth, 1, UINT_MAX});
    }
}

static void try_site(const struct setting *setting, const struct usage *clean, size_t site_index,
                     unsigned reached) {
    const struct site *site = &sites[site_index];
    const int errors = quick ? 1 : ERRORS_MAX;
    for (int i = 0; i < errors && site->errors[i] != 0; i++) {
        struct tally *tally = &tallies[site_index][i];
        struct group group = {setting, clean, tally, 0};
        struct trial trial = {.site = site, .error = site->errors[i]};
        unsigned broken_before = tally->broken, trials_before = tally->trials;
        try_patterns(&group, &trial, reached);
        if (tally->trials == trials_before)
            continue;
        bool good = tally->broken == broken_before;
        tests++;
        failed_tests += !good;
        printf("%s %u - %s: %s, %s: %u runs\n", good ? "ok" : "not ok", tests, setting->name,
               site->name, strerrorname_np(site->errors[i]), tally->trials - trials_before);
        fflush(stdout);
    }
}

/* A run without failures says what is reached, and what is mapped at the end. */
static void try_setting(const struct setting *setting) {
    char *arguments[ARGUMENTS_MAX], *environment[ENVIRONMENT_MAX + 2], words[ENVIRONMENT_MAX][64];
    struct trial trial = {.site = NULL};
    struct usage clean = {0, 0, 0, 0};
    prepare(&trial, setting, arguments, environment, words);
    supervise(&trial, LIBRARY);
    if (trial.status == CANNOT_TRACE || trial.status == CANNOT_FILTER) {
        printf("ok %u - %s # SKIP programs cannot be %s here\n", ++tests, setting->name,
               trial.status == CANNOT_TRACE ? "traced (ptrace)" : "filtered (seccomp)");
        return;
    }
    const char *problem = judge(&trial, NULL, &clean);
    tests++;
    failed_tests += problem != NULL;
    printf("%s %u - %s: nothing fails\n", problem == NULL ? "ok" : "not ok", tests, setting->name);
    if (problem != NULL) {
        show(&trial, &clean, problem);
        return;
    }
    for (size_t i = 0; i < SITES; i++)
        if (trial.reached[i] != 0 && !is_refused_by(setting, &sites[i]) &&
            (only_site == NULL || strcmp(only_site, sites[i].name) == 0) &&
            (!quick || tallies[i][0].trials == 0))
            try_site(setting, &clean, i, trial.reached[i]);
}

/* --- the whole ------------------------------------------------------------------------------- */

static void print_table(void) {
    puts("#\n# | site | errno | runs | calls failed | absorbed | ENOMEM to the caller | broken |");
    puts("# | --- | --- | ---: | ---: | ---: | ---: | ---: |");
    for (size_t i = 0; i < SITES; i++)
        for (int error = 0; error < ERRORS_MAX && sites[i].errors[error] != 0; error++) {
            const struct tally *tally = &tallies[i][error];
            if (tally->trials != 0)
                printf("# | `%s` | `%s` | %u | %u | %u | %u | %u |\n", sites[i].name,
                       strerrorname_np(sites[i].errors[error]), tally->trials, tally->injected,
                       tally->absorbed, tally->refused, tally->broken);
        }
    if (!print_places)
        return;
    printf("#\n# places:");
    for (size_t i = 0; i < places_seen_count; i++)
        printf(" 0x%lx", (unsigned long)places_seen[i]);
    puts("");
}

static int usage(void) {
    fputs("inject: usage: inject [--quick] [--site NAME] [--setting NAME] [--places]\n", stderr);
    return 2;
}

/* The workload beside this program, and the library of this checkout. */
static bool find_files(void) {
    char self[PATH_MAX - 64], folder[PATH_MAX - 64];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0 || getcwd(folder, sizeof folder) == NULL)
        return false;
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(workload_path, sizeof workload_path, "%s/workload", self);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s/alloc/" LIBRARY, folder);
    if (access(workload_path, X_OK) != 0 || access(preload + strlen("LD_PRELOAD="), R_OK) != 0) {
        fputs("inject: run it from the repository, after make\n", stderr);
        return false;
    }
    FILE *file = fopen("/sys/devices/system/node/has_memory", "r");
    if (file != NULL && fscanf(file, "%d", &lowest_node) != 1)
        lowest_node = 0;
    if (file != NULL)
        fclose(file);
    return true;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            quick = true;
        else if (strcmp(argv[i], "--places") == 0)
            print_places = true;
        else if (strcmp(argv[i], "--site") == 0 && i + 1 < argc)
            only_site = argv[++i];
        else if (strcmp(argv[i], "--setting") == 0 && i + 1 < argc)
            only_setting = argv[++i];
        else
            return usage();
    }
    if (!find_files())
        return 1;
    for (size_t i = 0; i < SETTINGS; i++)
        if (only_setting != NULL ? strcmp(only_setting, settings[i].name) == 0
                                 : !quick || settings[i].quick)
            try_setting(&settings[i]);
    print_table();
    printf("1..%u\n%u passed, %u failed\n", tests, tests - failed_tests, failed_tests);
    return failed_tests == 0 && tests > 0 ? 0 : 1;
}
