/* numa_run: runs a program with numa_alloc.so preloaded, its variables set, on the CPUs asked for.
 * Reads every value with the library's own parsers, and runs nothing when one cannot be obeyed. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "config.c"

#include <elf.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

#define LIBRARY_NAME "numa_alloc.so"

/* As env, nice and timeout have them. */
enum exit_status {
    EXIT_USAGE = 2,
    EXIT_FAILED = 125,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127
};

/* --- the options --------------------------------------------------------------------------- */

enum option_id {
    OPTION_POLICY,
    OPTION_MIN_SIZE,
    OPTION_PAGES,
    OPTION_ON_ERROR,
    OPTION_STATS,
    OPTION_STATS_SIGNAL,
    OPTION_CHECKS,
    OPTION_CPUS,
    OPTION_CPU_NODES,
    OPTION_LIBRARY,
    OPTION_PRINT,
    OPTION_HELP,
    OPTION_COUNT
};

/* One row drives parsing, the environment and --help. */
static const struct option_row {
    const char *name;     /* without the dashes */
    const char *argument; /* what --help calls the value; NULL: takes none */
    const char *variable; /* the environment variable the value goes to; NULL: numa_run's own */
    const char *help;     /* lines of at most 76 characters */
} option_rows[OPTION_COUNT] = {
    [OPTION_POLICY] = {"policy", "POLICY", "NUMA_ALLOC_POLICY",
                       "where the program's blocks are placed:\n"
                       "bind:N            on node N only; when N is full, the kernel may kill\n"
                       "preferred:LIST    on these nodes; on others when they are full\n"
                       "interleave:LIST   evenly over these nodes\n"
                       "weighted:N=W,...  over these nodes by weights of 1 to 255\n"
                       "local             on the node of the thread that allocates\n"
                       "none              wherever the kernel places them\n"
                       "LIST is all, or such as 0,2-3 (default: bind: the lowest memory node)"},
    [OPTION_MIN_SIZE] = {"min-size", "SIZE", "NUMA_ALLOC_MIN_SIZE",
                         "smallest block the policy applies to; smaller ones are placed local.\n"
                         "Bytes, or with K, M, G (1024-based): 64K (default: 0)"},
    [OPTION_PAGES] = {"pages", "SIZE", "NUMA_ALLOC_PAGES",
                      "page size: default (the kernel's choice), thp (transparent huge pages),\n"
                      "2M or 1G (from the pool of huge pages, vm.nr_hugepages)"},
    [OPTION_ON_ERROR] = {"on-error", "WHAT", "NUMA_ALLOC_ON_ERROR",
                         "when a policy cannot be had: warn (one line on standard error and go\n"
                         "on), abort or silent (default: warn)"},
    [OPTION_STATS] = {"stats", "WHERE", "NUMA_ALLOC_STATS",
                      "statistics as JSON when a process exits: stderr, or a path in which %p\n"
                      "stands for the process id, else children overwrite it (default: none)"},
    [OPTION_STATS_SIGNAL] = {"stats-signal", "0|1", "NUMA_ALLOC_STATS_SIGNAL",
                             "1: statistics on SIGUSR2, too; needs --stats (default: 0)"},
    [OPTION_CHECKS] = {"checks", "off|on", "NUMA_ALLOC_CHECKS",
                       "on: stop, with one line, where blocks are misused; slower (default: off)"},
    [OPTION_CPUS] = {"cpus", "LIST", NULL,
                     "run on these CPUs, such as 0,2-3 (default: as numa_run was started)"},
    [OPTION_CPU_NODES] = {"cpu-nodes", "LIST", NULL,
                          "run on the usable CPUs of these nodes, such as 0,2-3"},
    [OPTION_LIBRARY] = {"library", "PATH", NULL,
                        "the library to preload (default: " LIBRARY_NAME " beside numa_run)"},
    [OPTION_PRINT] = {"print", NULL, NULL,
                      "print the command line for sh that does the same, and run nothing"},
    [OPTION_HELP] = {"help", NULL, NULL, "this help"},
};

/* What the command line says. */
struct options {
    const char *values[OPTION_COUNT]; /* NULL: not given; the last of a repeated option counts */
    char **program;                   /* its name and arguments, NULL at the end */
};

/* Writes the one line, control characters as '?'. */
__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list arguments) {
    char line[2048];
    vsnprintf(line, sizeof line, format, arguments);
    for (char *at = line; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    fprintf(stderr, "numa_run: %s\n", line);
}

__attribute__((format(printf, 1, 2))) static void warn(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

__attribute__((noreturn, format(printf, 2, 3))) static void fail(enum exit_status status,
                                                                 const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    exit((int)status);
}

/* Ends the program after its output has been written, or could not be. */
__attribute__((noreturn)) static void finish_output(void) {
    if (fflush(stdout) != 0)
        fail(EXIT_FAILED, "cannot write to standard output: %s", strerror(errno));
    exit(0);
}

static void print_help(void) {
    puts(
        "Usage: numa_run [OPTION...] [--] PROGRAM [ARGUMENT...]\n"
        "Runs PROGRAM with its heap on the memory nodes asked for: sets the environment, preloads\n" LIBRARY_NAME
        " and sets the CPU affinity. Runs nothing when an option, or a variable already\n"
        "in the environment, cannot be obeyed. An option counts for more than its variable.\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        printf("  --%s%s%s%s%s%s\n", row->name, row->argument != NULL ? " " : "",
               row->argument != NULL ? row->argument : "", row->variable != NULL ? "  (" : "",
               row->variable != NULL ? row->variable : "", row->variable != NULL ? ")" : "");
        for (const char *line = row->help; line != NULL;) {
            const char *end = strchrnul(line, '\n');
            printf("      %.*s\n", (int)(end - line), line);
            line = *end == '\n' ? end + 1 : NULL;
        }
    }
    puts(
        "\nExit status: PROGRAM's own; 2 an option or variable cannot be obeyed, 125 numa_run failed,\n"
        "126 PROGRAM cannot be run, 127 there is no PROGRAM.");
}

static void read_options(struct options *options, int argc, char **argv) {
    struct option names[OPTION_COUNT + 1] = {0};
    enum { FIRST_ID = 256 }; /* above every character that getopt returns */
    memset(options, 0, sizeof *options);
    for (int i = 0; i < OPTION_COUNT; i++) {
        names[i].name = option_rows[i].name;
        names[i].has_arg = option_rows[i].argument != NULL ? required_argument : no_argument;
        names[i].val = FIRST_ID + i;
    }
    opterr = 0;
    for (;;) {
        const char *word = argv[optind];
        int found = getopt_long(argc, argv, "+:h", names, NULL);
        if (found == -1)
            break;
        if (found == 'h')
            found = FIRST_ID + OPTION_HELP;
        if (found == ':')
            fail(EXIT_USAGE, "%.60s: a value is missing; --help says which", word);
        if (found < FIRST_ID)
            fail(EXIT_USAGE, "%.60s: not an option here; --help lists them", word);
        options->values[found - FIRST_ID] = optarg != NULL ? optarg : "";
    }
    options->program = argv + optind;
}

/* --- CPUs ---------------------------------------------------------------------------------- */

union cpus {
    unsigned long words[CPU_IDS_MAX / 64];      /* as files of sysfs are read into */
    cpu_set_t parts[CPU_IDS_MAX / CPU_SETSIZE]; /* as the affinity calls have them */
};

static bool cpus_have(const union cpus *cpus, unsigned cpu) {
    return CPU_ISSET_S(cpu, sizeof *cpus, cpus->parts) != 0;
}

/* The set in the kernel's list format, shortened to ranges. The caller frees it. */
static char *cpus_format(const union cpus *cpus) {
    char *list = NULL;
    size_t length;
    const char *separator = "";
    FILE *out = open_memstream(&list, &length);
    if (out == NULL)
        fail(EXIT_FAILED, "no memory");
    for (unsigned first = 0; first < CPU_IDS_MAX; first++) {
        if (!cpus_have(cpus, first))
            continue;
        unsigned last = first;
        while (last + 1 < CPU_IDS_MAX && cpus_have(cpus, last + 1))
            last++;
        fprintf(out, last > first ? "%s%u-%u" : "%s%u", separator, first, last);
        separator = ",";
        first = last;
    }
    fclose(out);
    return list;
}

/* Takes one number of a list, or says why not. */
typedef bool (*list_visitor)(void *context, unsigned id, struct text *reason);

/* Reads the kernel's list format, "0,2-3", of numbers under `ids_max`, but strictly: a slip must
 * not change what runs where. */
static bool read_list(const char *list, unsigned ids_max, list_visitor visit, void *context,
                      struct text *reason) {
    for (;; list++) {
        uint64_t first, last;
        if (!is_digit(*list))
            return refuse_syntax(reason, "a number", list);
        if (!parse_unsigned(&list, ids_max - 1, &first))
            return refuse_node(reason, "the numbers end at ", ids_max - 1, "");
        last = first;
        if (*list == '-') {
            list++;
            if (!is_digit(*list))
                return refuse_syntax(reason, "a number", list);
            if (!parse_unsigned(&list, ids_max - 1, &last))
                return refuse_node(reason, "the numbers end at ", ids_max - 1, "");
            if (last < first)
                return refuse_node(reason, "the range from ", (unsigned)first,
                                   " ends below its start");
        }
        for (uint64_t id = first; id <= last; id++)
            if (!visit(context, (unsigned)id, reason))
                return false;
        if (*list == '\0')
            return true;
        if (*list != ',')
            return refuse_syntax(reason, "a comma", list);
    }
}

/* The CPUs there are, those this process may run on, and those chosen among them. */
struct cpu_choice {
    const struct topology *topology;
    union cpus present, allowed, chosen;
    struct node_set nodes; /* those whose CPUs are among them */
};

/* Allowed is what the process's cpuset holds, whatever its affinity has been narrowed to: asking
 * for all CPUs leaves those. The affinity is set anew before the program runs. */
static void cpu_choice_begin(struct cpu_choice *choice, const struct topology *topology) {
    union cpus all;
    char list[4096];
    memset(choice, 0, sizeof *choice);
    memset(&all, 0xff, sizeof all);
    choice->topology = topology;
    (void)sched_setaffinity(0, sizeof all, all.parts);
    if (sched_getaffinity(0, sizeof choice->allowed, choice->allowed.parts) != 0)
        fail(EXIT_FAILED, "the kernel does not tell the CPU affinity: %s", strerror(errno));
    if (read_below("/sys/devices/system/cpu", "present", list, sizeof list) < 0 ||
        !list_parse(list, choice->present.words, CPU_IDS_MAX))
        choice->present = all; /* /sys is masked: call every CPU that is not allowed that */
}

static bool choose_cpu(void *context, unsigned cpu, struct text *reason) {
    struct cpu_choice *choice = context;
    if (!cpus_have(&choice->present, cpu))
        return refuse_node(reason, "there is no CPU ", cpu, "");
    if (!cpus_have(&choice->allowed, cpu))
        return refuse_node(reason, "this process may not run on CPU ", cpu, "");
    if (cpus_have(&choice->chosen, cpu))
        return refuse_node(reason, "CPU ", cpu, " is given twice");
    CPU_SET_S(cpu, sizeof choice->chosen, choice->chosen.parts);
    return true;
}

/* The CPUs of a node that this process may run on. False: they cannot be read. */
static bool usable_cpus_of_node(const struct cpu_choice *choice, unsigned node, union cpus *cpus) {
    if (!topology_read_node_cpus(choice->topology, node, cpus->words, CPU_IDS_MAX))
        return false;
    CPU_AND_S(sizeof *cpus, cpus->parts, cpus->parts, choice->allowed.parts);
    return true;
}

static bool choose_node(void *context, unsigned node, struct text *reason) {
    struct cpu_choice *choice = context;
    union cpus cpus;
    if (!choice->topology->sysfs_read)
        return refuse(reason, "which CPUs a node has cannot be read from " SYSFS_NODE_ROOT);
    if (!node_set_has(&choice->topology->online, node))
        return refuse_node(reason, "there is no node ", node, "");
    if (!node_set_has(&choice->topology->has_cpu, node))
        return refuse_node(reason, "node ", node, " has no CPUs");
    if (!usable_cpus_of_node(choice, node, &cpus))
        return refuse_node(reason, "the CPUs of node ", node, " cannot be read");
    if (CPU_COUNT_S(sizeof cpus, cpus.parts) == 0)
        return refuse_node(reason, "this process may not run on any CPU of node ", node, "");
    if (node_set_has(&choice->nodes, node))
        return refuse_node(reason, "node ", node, " is given twice");
    node_set_add(&choice->nodes, node);
    CPU_OR_S(sizeof cpus, choice->chosen.parts, choice->chosen.parts, cpus.parts);
    return true;
}

/* The nodes with CPUs that this process may run on, in list format. */
static void format_usable_nodes(const struct cpu_choice *choice, struct text *text) {
    struct node_set usable = {0};
    union cpus cpus;
    for (int node = node_set_next(&choice->topology->has_cpu, 0); node >= 0;
         node = node_set_next(&choice->topology->has_cpu, (unsigned)node + 1))
        if (usable_cpus_of_node(choice, (unsigned)node, &cpus) &&
            CPU_COUNT_S(sizeof cpus, cpus.parts) > 0)
            node_set_add(&usable, (unsigned)node);
    node_set_format(&usable, text);
}

/* Fills in `choice->chosen`. False: neither --cpus nor --cpu-nodes is given. */
static bool choose_cpus(const struct options *options, const struct topology *topology,
                        struct cpu_choice *choice) {
    const char *cpus = options->values[OPTION_CPUS], *nodes = options->values[OPTION_CPU_NODES];
    char reason_chars[160] = "", usable_chars[1024] = "";
    struct text reason = {reason_chars, 0, sizeof reason_chars - 1};
    struct text usable = {usable_chars, 0, sizeof usable_chars - 1};
    if (cpus == NULL && nodes == NULL)
        return false;
    if (cpus != NULL && nodes != NULL)
        fail(EXIT_USAGE, "--cpus and --cpu-nodes: only one of them can be obeyed");
    cpu_choice_begin(choice, topology);
    if (cpus != NULL && !read_list(cpus, CPU_IDS_MAX, choose_cpu, choice, &reason))
        fail(EXIT_USAGE, "--cpus %.80s: %s; accepted: a list such as 0,2-3 of the CPUs %s", cpus,
             reason_chars, cpus_format(&choice->allowed));
    if (nodes != NULL && !read_list(nodes, NODE_IDS_MAX, choose_node, choice, &reason)) {
        format_usable_nodes(choice, &usable);
        fail(EXIT_USAGE, "--cpu-nodes %.80s: %s; accepted: a list such as 0,2-3 of the nodes %s",
             nodes, reason_chars, usable_chars);
    }
    return true;
}

/* --- the library and the program ------------------------------------------------------------ */

/* What the head of a file says of it. */
struct elf_kind {
    bool known;       /* false: cannot be read, or is something else, such as a script */
    bool shared;      /* a shared object or a position-independent program */
    bool interpreted; /* names a dynamic loader */
    unsigned char class;
    Elf64_Half machine;
};

static struct elf_kind elf_kind_of(const char *path) {
    struct elf_kind kind = {0};
    union {
        char bytes[4 * KIB];
        unsigned char ident[EI_NIDENT];
        Elf64_Ehdr header;
    } head = {{0}};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, &head, sizeof head);
    if (fd >= 0)
        close(fd);
    if (length < (ssize_t)sizeof head.header || memcmp(head.ident, ELFMAG, SELFMAG) != 0)
        return kind;
    kind.known = true;
    kind.class = head.ident[EI_CLASS];
    kind.machine = head.header.e_machine; /* at the same place in all classes, as is e_type */
    kind.shared = head.header.e_type == ET_DYN;
    if (kind.class != ELFCLASS64) {
        kind.interpreted = true;
        return kind;
    }
    size_t offset = head.header.e_phoff;
    Elf64_Phdr entry;
    for (size_t i = 0; i < head.header.e_phnum; i++, offset += sizeof entry) {
        if (offset > (size_t)length || (size_t)length - offset < sizeof entry)
            break;
        memcpy(&entry, head.bytes + offset, sizeof entry);
        kind.interpreted |= entry.p_type == PT_INTERP;
    }
    return kind;
}

/* Whether the library is linked into the program: a name that only its code has stands in it. */
static bool has_library_inside(const char *program) {
    static const char name[] = "NUMA_ALLOC_STATS_SIGNAL";
    struct stat about;
    int fd = open(program, O_RDONLY | O_CLOEXEC);
    void *bytes = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &about) == 0)
        bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        close(fd);
    if (bytes == MAP_FAILED)
        return false;
    bool found = memmem(bytes, (size_t)about.st_size, name, sizeof name) != NULL;
    munmap(bytes, (size_t)about.st_size);
    return found;
}

/* Where the library is, absolute, so that it is found from any folder. Symbolic links stay, since
 * one may stand for a path that cannot be preloaded. */
static void find_library(const char *given, char path[2 * PATH_MAX]) {
    char start[PATH_MAX];
    if (given != NULL && given[0] == '/') {
        snprintf(path, (size_t)2 * PATH_MAX, "%s", given);
        return;
    }
    if (given != NULL) {
        if (getcwd(start, sizeof start) == NULL)
            fail(EXIT_FAILED, "the current folder is unknown: %s", strerror(errno));
    } else {
        ssize_t length = readlink("/proc/self/exe", start, sizeof start - 1);
        if (length < 0)
            fail(EXIT_FAILED, "/proc/self/exe cannot be read (%s); give --library",
                 strerror(errno));
        start[length] = '\0';
        *strrchr(start, '/') = '\0';
    }
    snprintf(path, (size_t)2 * PATH_MAX, "%s/%s", start, given != NULL ? given : LIBRARY_NAME);
}

/* Ends numa_run with one line unless the loader can preload `path`. */
static void check_library(const char *path, enum exit_status status) {
    struct stat about;
    if (stat(path, &about) != 0 || access(path, R_OK) != 0)
        fail(status, "%.1000s: cannot be read (%s); --library names the library to preload", path,
             strerror(errno));
    struct elf_kind kind = elf_kind_of(path);
    if (!S_ISREG(about.st_mode) || !kind.known || !kind.shared)
        fail(status, "%.1000s: not a shared library; --library names the library to preload", path);
    if (strpbrk(path, " :") != NULL)
        fail(status,
             "%.1000s: a path with a space or colon cannot be preloaded; give --library a symbolic "
             "link to it from a path without them",
             path);
}

/* Puts the library in front of what is to be preloaded already. */
static void set_preload(const char *path) {
    const char *others = getenv("LD_PRELOAD");
    size_t length = strlen(path);
    char *list;
    if (others != NULL && strncmp(others, path, length) == 0 &&
        (others[length] == '\0' || others[length] == ':' || others[length] == ' '))
        return;
    bool alone = others == NULL || *others == '\0';
    if (asprintf(&list, "%s%s%s", path, alone ? "" : ":", alone ? "" : others) < 0 ||
        setenv("LD_PRELOAD", list, 1) != 0)
        fail(EXIT_FAILED, "no memory");
    free(list);
}

/* 0 when the kernel may execute the file, else the errno it would give. */
static int execute_error(const char *path) {
    struct stat about;
    if (stat(path, &about) != 0)
        return errno;
    if (!S_ISREG(about.st_mode))
        return EACCES;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

/* Finds the program as execvp does; `path` then has a slash. Returns 0, or the errno to report. */
static int find_program(const char *name, char path[2 * PATH_MAX]) {
    int error = ENOENT;
    const char *folders = getenv("PATH");
    if (strlen(name) >= PATH_MAX)
        return ENAMETOOLONG;
    if (strchr(name, '/') != NULL) {
        strcpy(path, name);
        return execute_error(path);
    }
    if (*name == '\0')
        return ENOENT;
    for (const char *folder = folders != NULL ? folders : "/bin:/usr/bin";; folder++) {
        size_t length = strcspn(folder, ":");
        if (length < PATH_MAX) {
            snprintf(path, (size_t)2 * PATH_MAX, "%.*s/%s", length > 0 ? (int)length : 1,
                     length > 0 ? folder : ".", name);
            int here = execute_error(path);
            if (here == 0)
                return 0;
            if (here == EACCES)
                error = EACCES; /* another one may do; if none does, this is why */
        }
        folder += length;
        if (*folder == '\0')
            return error;
    }
}

/* Why the loader would not preload the library into the program; NULL when it would, or need not.
 */
static const char *preload_refusal(const char *program, const char *library) {
    struct stat about;
    struct elf_kind of_program = elf_kind_of(program), of_library = elf_kind_of(library);
    if (stat(program, &about) == 0 &&
        (((about.st_mode & S_ISUID) != 0 && about.st_uid != getuid()) ||
         ((about.st_mode & S_ISGID) != 0 && about.st_gid != getgid())))
        return "it is set-user-id or set-group-id";
    if (getuid() != 0 && getxattr(program, "security.capability", NULL, 0) > 0)
        return "it has file capabilities";
    if (!of_program.known)
        return NULL; /* a script, perhaps: its interpreter decides */
    if (of_program.class != of_library.class || of_program.machine != of_library.machine)
        return "it is for another kind of machine than the library";
    bool obeys = of_program.interpreted || has_library_inside(program);
    return obeys ? NULL : "it is statically linked";
}

/* --- the command ---------------------------------------------------------------------------- */

/* The variables are read from the environment, into which the options have been put. */
static const char *lookup_environment(const char *variable) {
    return getenv(variable);
}

/* Puts the options' values into the environment and checks all that is there. */
static void set_variables(const struct options *options, const struct topology *topology,
                          struct config *config) {
    struct config_problem problem;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (option_rows[i].variable != NULL && options->values[i] != NULL &&
            setenv(option_rows[i].variable, options->values[i], 1) != 0)
            fail(EXIT_FAILED, "no memory");
    if (config_names_known(environ, &problem) &&
        config_read(config, topology, lookup_environment, &problem))
        return;
    char value_chars[96] = "";
    struct text value = {value_chars, 0, sizeof value_chars - 1};
    text_add_quoted(&value, problem.value);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (option_rows[i].variable != NULL && options->values[i] != NULL &&
            strcmp(option_rows[i].variable, problem.variable) == 0)
            fail(EXIT_USAGE, "--%s %s: %s; accepted: %s", option_rows[i].name, value_chars,
                 problem.reason, problem.accepted);
    fail(EXIT_USAGE, "%.40s=%s in the environment: %s; accepted: %s", problem.variable, value_chars,
         problem.reason, problem.accepted);
}

/* Prints a word as sh reads it back. */
static void print_quoted(const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_@%+=:,./-";
    if (*word != '\0' && word[strspn(word, plain)] == '\0') {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*word);
    }
    putchar('\'');
}

static void print_variable(const char *name) {
    const char *value = getenv(name);
    if (value == NULL)
        return;
    printf("%s=", name);
    print_quoted(value);
    putchar(' ');
}

/* The program by its path: a bare name might be one of the shell's own commands. */
static void print_command(const char *path, char *const *arguments, const char *cpus) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (option_rows[i].variable != NULL)
            print_variable(option_rows[i].variable);
    print_variable("LD_PRELOAD");
    if (cpus != NULL)
        printf("taskset -c %s ", cpus);
    print_quoted(path);
    for (size_t i = 1; arguments[i] != NULL; i++) {
        putchar(' ');
        print_quoted(arguments[i]);
    }
    putchar('\n');
}

int main(int argc, char **argv) {
    static struct options options;
    static struct topology topology;
    static struct config config;
    static struct cpu_choice choice;
    static char library[2 * PATH_MAX], program[2 * PATH_MAX];
    read_options(&options, argc, argv);
    if (options.values[OPTION_HELP] != NULL) {
        print_help();
        finish_output();
    }
    topology_read(&topology, SYSFS_NODE_ROOT, NULL);
    set_variables(&options, &topology, &config);
    bool pinned = choose_cpus(&options, &topology, &choice);
    find_library(options.values[OPTION_LIBRARY], library);
    check_library(library, options.values[OPTION_LIBRARY] != NULL ? EXIT_USAGE : EXIT_FAILED);
    if (options.program[0] == NULL)
        fail(EXIT_USAGE, "no program is given; --help says how");
    int error = find_program(options.program[0], program);
    if (error != 0)
        fail(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE, "cannot run %.1000s: %s",
             options.program[0], strerror(error));
    const char *refusal = preload_refusal(program, library);
    if (refusal != NULL && config.on_error != ON_ERROR_SILENT)
        warn("%.1000s: %s, so the library cannot place its memory%s", program, refusal,
             config.on_error == ON_ERROR_ABORT ? "; not run, as --on-error abort asks" : "");
    if (refusal != NULL && config.on_error == ON_ERROR_ABORT)
        return EXIT_NOT_EXECUTABLE;
    set_preload(library);
    if (options.values[OPTION_PRINT] != NULL) {
        print_command(program, options.program, pinned ? cpus_format(&choice.chosen) : NULL);
        finish_output();
    }
    if (pinned && sched_setaffinity(0, sizeof choice.chosen, choice.chosen.parts) != 0)
        fail(EXIT_FAILED, "the kernel refuses the CPU affinity: %s", strerror(errno));
    execvp(program, options.program);
    fail(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE, "cannot run %.1000s: %s", program,
         strerror(errno));
}
