/* NUMA_ALLOC_STATS: one JSON object when a process ends, where the variable says. */
#include "promises.h"

#include <dirent.h>

static char folder[] = "/tmp/numa_alloc_stats_XXXXXX";

static int make_folder(void **state) {
    require_numa_alloc(state);
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void path_in_folder(char *path, size_t capacity, const char *name) {
    snprintf(path, capacity, "%s/%s", folder, name);
}

/* Starts this program again as `role`; stdout and stderr go to files of the folder. */
static pid_t start(const char *role, const char *stats, const char *on_signal) {
    char out[128], err[128], file[128];
    path_in_folder(file, sizeof file, "of_the_program");
    path_in_folder(out, sizeof out, "stdout");
    path_in_folder(err, sizeof err, "stderr");
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0)
        return child;
    become_child();
    dup2(open(out, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600), 1);
    dup2(open(err, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600), 2);
    if (stats != NULL)
        setenv("NUMA_ALLOC_STATS", stats, 1);
    if (on_signal != NULL)
        setenv("NUMA_ALLOC_STATS_SIGNAL", on_signal, 1);
    execl("/proc/self/exe", "test_stats", role, file, (char *)NULL);
    _exit(99);
}

static int end_of(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void text_of(const char *name, char *text, size_t capacity) {
    char path[128];
    path_in_folder(path, sizeof path, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, capacity - 1, file)] = '\0';
    fclose(file);
}

/* True when a Python expression over `stats`, the file's one JSON object, is. */
static void assert_json(const char *name, const char *expression) {
    char command[2048];
    snprintf(command, sizeof command,
             "env -u LD_PRELOAD python3 -c '\nimport json, sys\n"
             "stats = json.load(open(sys.argv[1]))\n"
             "assert %s, stats' %s/%s",
             expression, folder, name);
    assert_int_equal(system(command), 0);
}

/* What the program below leaves: 500 blocks of 25 MB together, and what libc keeps. */
static const char as_allocated[] =
    "500 <= sum(c[\"live_blocks\"] for c in stats[\"size_classes\"]) + stats[\"spans\"][\"blocks\"] "
    "< 600 and stats[\"committed_bytes\"] > 25000000 "
    "and sum(n[\"committed_bytes\"] for n in stats[\"nodes\"]) > 25000000";

static void statistics_on_stderr_are_one_json_object(void **state) {
    (void)state;
    assert_int_equal(end_of(start("allocate", "stderr", NULL)), 0);
    char text[64];
    text_of("stdout", text, sizeof text);
    assert_string_equal(text, "main ran\n");
    assert_json("stderr", as_allocated);
}

static void statistics_go_to_the_file_named(void **state) {
    (void)state;
    char path[128], text[64];
    path_in_folder(path, sizeof path, "plain.json");
    assert_int_equal(end_of(start("allocate", path, NULL)), 0);
    text_of("stderr", text, sizeof text);
    assert_string_equal(text, "");
    assert_json("plain.json", as_allocated);
}

static void the_process_id_stands_for_percent_p(void **state) {
    (void)state;
    char path[128], name[64], expression[64];
    path_in_folder(path, sizeof path, "of.%p.json");
    pid_t child = start("allocate", path, NULL);
    assert_int_equal(end_of(child), 0);
    snprintf(name, sizeof name, "of.%d.json", (int)child);
    snprintf(expression, sizeof expression, "stats[\"pid\"] == %d", (int)child);
    assert_json(name, expression);
}

static void statistics_name_the_policy_and_the_node(void **state) {
    (void)state;
    char path[128], expression[128];
    path_in_folder(path, sizeof path, "policy.json");
    assert_int_equal(end_of(start("allocate", path, NULL)), 0);
    snprintf(expression, sizeof expression,
             "stats[\"policy\"] == \"bind:%d\" and [n[\"node\"] for n in stats[\"nodes\"]] == [%d]",
             lowest_node(), lowest_node());
    assert_json("policy.json", expression);
}

static void settings_and_limits_are_told(void **state) {
    (void)state;
    char path[128];
    path_in_folder(path, sizeof path, "settings.json");
    setenv("NUMA_ALLOC_MIN_SIZE", "64K", 1);
    assert_int_equal(end_of(start("allocate", path, NULL)), 0);
    unsetenv("NUMA_ALLOC_MIN_SIZE");
    assert_json("settings.json",
                "stats[\"min_size_bytes\"] == 65536 and stats[\"pages\"] == \"default\" "
                "and 10 < stats[\"mappings\"] < stats[\"mappings_max\"] "
                "and stats[\"live_bytes\"] > 25000000");
}

/* The expression over every pool's `node`, that its pages are told in whole and where they were
 * asked for. */
#define PLACED                                                                                     \
    "all(c[\"on_node_pages\"] + c[\"elsewhere_pages\"] + c[\"absent_pages\"] "                     \
    "== c[\"looked_at_pages\"] and c[\"elsewhere_pages\"] == 0 "                                   \
    "for c in (n[\"placement_check\"] for n in stats[\"nodes\"])) "

/* What is resident, from pools' counts by node; where the kernel will not say, all must say so. */
#define RESIDENT "sum(b for n in stats[\"nodes\"] for b in n[\"resident_bytes\"].values())"
#define REFUSED                                                                                    \
    "(all(n[\"placement_check\"][\"status\"] == \"refused\" and "                                  \
    "n[\"placement_check\"][\"errno\"] > 0 for n in stats[\"nodes\"]) "                            \
    "and " RESIDENT " == 0)"

/* 32 MiB of 100 KiB blocks and 64 MiB of a larger one are written, and 9 GiB are not. */
static void pages_are_told_where_the_kernel_says_they_are(void **state) {
    (void)state;
    char path[128];
    path_in_folder(path, sizeof path, "touched.json");
    assert_int_equal(end_of(start("touch", path, NULL)), 0);
    assert_json("touched.json", PLACED "and stats[\"placement_check_one_in\"] == 1 and (" REFUSED
                                       " or 96 << 20 <= " RESIDENT " < 128 << 20)");
    path_in_folder(path, sizeof path, "sampled.json");
    assert_int_equal(end_of(start("touch_of_much", path, NULL)), 0);
    assert_json("sampled.json",
                PLACED "and stats[\"placement_check_one_in\"] > 1 and sum(n[\"placement_check\"]"
                       "[\"looked_at_pages\"] for n in stats[\"nodes\"]) < 280000 and (" REFUSED
                       " or 86 << 20 <= " RESIDENT " < 140 << 20)");
}

static void pools_of_the_policy_are_told_and_no_others(void **state) {
    (void)state;
    char path[128];
    path_in_folder(path, sizeof path, "pools.json");
    setenv("NUMA_ALLOC_POLICY", "none", 1);
    assert_int_equal(end_of(start("allocate", path, NULL)), 0);
    assert_json("pools.json", "[(n[\"node\"], n[\"policy\"]) for n in stats[\"nodes\"]] "
                              "== [(None, \"none\")]");
    setenv("NUMA_ALLOC_POLICY", "interleave:all", 1);
    assert_int_equal(end_of(start("touch", path, NULL)), 0);
    assert_json("pools.json",
                PLACED "and stats[\"nodes\"][-1][\"node\"] is None "
                       "and stats[\"nodes\"][-1][\"policy\"] == \"interleave\" "
                       "and all(n[\"policy\"] == \"preferred\" "
                       "for n in stats[\"nodes\"][:-1]) and len(stats[\"nodes\"]) > 1");
    unsetenv("NUMA_ALLOC_POLICY");
}

static void huge_pages_are_told_whether_had_or_not(void **state) {
    (void)state;
    char path[128];
    path_in_folder(path, sizeof path, "pages.json");
    setenv("NUMA_ALLOC_PAGES", "2M", 1);
    setenv("NUMA_ALLOC_ON_ERROR", "silent", 1);
    assert_int_equal(end_of(start("touch", path, NULL)), 0);
    unsetenv("NUMA_ALLOC_PAGES");
    unsetenv("NUMA_ALLOC_ON_ERROR");
    assert_json("pages.json",
                PLACED "and stats[\"pages\"] == \"2M\" and all("
                       "(n[\"huge_page_refusals\"] > 0) == (n[\"huge_page_errno\"] > 0) "
                       "and n[\"huge_page_refusals\"] + n[\"reserved_page_bytes\"] > 0 "
                       "for n in stats[\"nodes\"])");
}

/* Blocks above 64 KiB are no thread's, so that 328 of the 500 are freed by a stranger. */
static void frees_by_other_threads_are_counted(void **state) {
    (void)state;
    char path[128];
    path_in_folder(path, sizeof path, "remote.json");
    assert_int_equal(end_of(start("free_elsewhere", path, NULL)), 0);
    assert_json("remote.json", "stats[\"remote_frees\"] >= 328 and stats[\"foreign_frees\"] == 0");
}

/* The library may keep a descriptor of standard error, but a program may need its number. */
static void statistics_do_not_go_to_a_file_of_the_program(void **state) {
    (void)state;
    assert_int_equal(end_of(start("take_descriptors", "stderr", NULL)), 0);
    char text[64];
    text_of("of_the_program", text, sizeof text);
    assert_string_equal(text, "");
    assert_json("stderr", as_allocated);
}

static size_t count_of_files(const char *prefix) {
    size_t count = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(directory);
    return count;
}

static void a_forked_child_writes_statistics_of_its_own(void **state) {
    (void)state;
    char path[128];
    path_in_folder(path, sizeof path, "forked.%p.json");
    pid_t child = start("fork", path, NULL);
    assert_int_equal(end_of(child), 0);
    assert_int_equal(count_of_files("forked."), 2);
}

static void nothing_is_written_unless_asked_for(void **state) {
    (void)state;
    assert_int_equal(end_of(start("allocate", NULL, NULL)), 0);
    char text[64];
    text_of("stderr", text, sizeof text);
    assert_string_equal(text, "");
}

static void a_file_that_cannot_be_made_is_one_line_and_no_failure(void **state) {
    (void)state;
    assert_int_equal(end_of(start("allocate", "/nonexistent/folder/%p.json", NULL)), 0);
    char text[512];
    text_of("stdout", text, sizeof text);
    assert_string_equal(text, "main ran\n");
    text_of("stderr", text, sizeof text);
    assert_non_null(strstr(text, "/nonexistent/folder/"));
    assert_non_null(strstr(text, " (errno 2, ENOENT)\n"));
    assert_string_equal(strchr(text, '\n'), "\n");
}

static void a_file_that_cannot_be_written_is_one_line_and_no_failure(void **state) {
    (void)state;
    assert_int_equal(end_of(start("allocate", "/dev/full", NULL)), 0);
    char text[512];
    text_of("stdout", text, sizeof text);
    assert_string_equal(text, "main ran\n");
    text_of("stderr", text, sizeof text);
    assert_string_equal(
        text, "numa_alloc: NUMA_ALLOC_STATS: cannot write /dev/full (errno 28, ENOSPC)\n");
}

static void wait_for_text(const char *name, const char *wanted) {
    char text[4096] = "", path[128];
    path_in_folder(path, sizeof path, name);
    for (int i = 0; i < 3000 && strstr(text, wanted) == NULL; i++) { /* 30 s, then it has failed */
        usleep(10000);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
    }
    assert_non_null(strstr(text, wanted));
}

static void sigusr2_writes_statistics_and_the_program_goes_on(void **state) {
    (void)state;
    char path[128];
    path_in_folder(path, sizeof path, "signal.json");
    pid_t child = start("until_sigterm", path, "1");
    wait_for_text("stdout", "ready");
    kill(child, SIGUSR2);
    wait_for_text("signal.json", "}");
    assert_json("signal.json", as_allocated);
    kill(child, SIGTERM);
    assert_int_equal(end_of(child), -SIGTERM);
}

static void sigusr2_is_left_to_the_program_unless_asked_for(void **state) {
    (void)state;
    pid_t child = start("until_sigterm", "stderr", NULL);
    wait_for_text("stdout", "ready");
    kill(child, SIGUSR2);
    assert_int_equal(end_of(child), -SIGUSR2);
}

/* --- The program that is looked at ------------------------------------------------------------ */

static void *blocks[1000];

static void *free_blocks(void *unused) {
    for (size_t i = 1; i < 1000; i += 2)
        free(blocks[i]);
    return unused;
}

static void allocate(void) {
    for (size_t i = 0; i < 1000; i++)
        blocks[i] = malloc(100 * i);
    for (size_t i = 0; i < 1000; i += 2)
        free(blocks[i]);
}

/* What is written must be found by the placement check, and only that. */
static void touch(size_t untouched_bytes) {
    for (size_t i = 0; i < 328; i++) {
        blocks[i] = malloc(100 * KIB);
        memset(blocks[i], 1, 100 * KIB);
    }
    blocks[999] = malloc(64 * MIB + untouched_bytes);
    for (size_t offset = 0; offset < 64 * MIB; offset += PAGE_BYTES)
        ((volatile char *)blocks[999])[offset] = 1;
}

/* As a shell's `exec 3>file` does, with every number that is likely to be taken. */
static int take_descriptors(const char *path) {
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
        if (file < 0 || dup2(file, fd) != fd)
            return 1;
    return 0;
}

static int play(const char *role, const char *path) {
    if (strncmp(role, "touch", 5) == 0) {
        touch(strcmp(role, "touch") == 0 ? 0 : (size_t)9 << 30);
        return 0;
    }
    allocate();
    if (strcmp(role, "allocate") == 0)
        puts("main ran");
    if (strcmp(role, "take_descriptors") == 0)
        return take_descriptors(path);
    if (strcmp(role, "free_elsewhere") == 0)
        return (int)in_thread(free_blocks, NULL);
    if (strcmp(role, "fork") == 0) {
        pid_t child = fork();
        if (child == 0)
            allocate();
        else if (end_of(child) != 0)
            return 1;
    }
    if (strcmp(role, "until_sigterm") == 0) {
        puts("ready");
        fflush(stdout);
        for (;;)
            free(malloc(1000));
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 2)
        return play(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_on_stderr_are_one_json_object),
        cmocka_unit_test(statistics_go_to_the_file_named),
        cmocka_unit_test(the_process_id_stands_for_percent_p),
        cmocka_unit_test(statistics_name_the_policy_and_the_node),
        cmocka_unit_test(settings_and_limits_are_told),
        cmocka_unit_test(pages_are_told_where_the_kernel_says_they_are),
        cmocka_unit_test(pools_of_the_policy_are_told_and_no_others),
        cmocka_unit_test(huge_pages_are_told_whether_had_or_not),
        cmocka_unit_test(frees_by_other_threads_are_counted),
        cmocka_unit_test(statistics_do_not_go_to_a_file_of_the_program),
        cmocka_unit_test(a_forked_child_writes_statistics_of_its_own),
        cmocka_unit_test(nothing_is_written_unless_asked_for),
        cmocka_unit_test(a_file_that_cannot_be_made_is_one_line_and_no_failure),
        cmocka_unit_test(a_file_that_cannot_be_written_is_one_line_and_no_failure),
        cmocka_unit_test(sigusr2_writes_statistics_and_the_program_goes_on),
        cmocka_unit_test(sigusr2_is_left_to_the_program_unless_asked_for),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
