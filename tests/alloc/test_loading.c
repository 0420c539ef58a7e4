/* Before main, after main, and in libraries that come and go. */
#include "promises.h"

/* --- Before main ------------------------------------------------------------------------------ */

static struct { void *preinit, *constructor; } early;

/* Runs before every constructor, the library's own included. */
static void allocate_in_preinit(int argc, char **argv, char **environment) {
    (void)argc;
    (void)argv;
    (void)environment;
    early.preinit = malloc(700);
    if (early.preinit != NULL)
        pattern_write(early.preinit, 700, 1);
    free(calloc(3, 100000));
}
__attribute__((section(".preinit_array"),
               used)) static void (*const preinit_entry)(int, char **,
                                                         char **) = allocate_in_preinit;

__attribute__((constructor(101))) static void allocate_in_constructor(void) {
    early.constructor = realloc(NULL, 70000);
    if (early.constructor != NULL)
        pattern_write(early.constructor, 70000, 2);
}

static void blocks_from_before_every_constructor_are_good(void **state) {
    (void)state;
    assert_non_null(early.preinit);
    assert_true(pattern_holds(early.preinit, 700, 1));
    early.preinit = realloc(early.preinit, 90000);
    assert_non_null(early.preinit);
    assert_true(pattern_prefix_holds(early.preinit, 700, 1));
    free(early.preinit);
}

static void blocks_from_an_early_constructor_are_good(void **state) {
    (void)state;
    assert_non_null(early.constructor);
    assert_true(pattern_holds(early.constructor, 70000, 2));
    free(early.constructor);
}

/* --- After main ------------------------------------------------------------------------------- */

static void *from_main;

static void allocate_and_say(const char *where) {
    void *block = malloc(5000), *large = malloc(400000);
    if (block == NULL || large == NULL)
        _exit(3);
    pattern_write(block, 5000, 9);
    if (!pattern_holds(block, 5000, 9))
        _exit(4);
    char *line = NULL;
    if (asprintf(&line, "%s\n", where) < 0 || write(1, line, strlen(line)) < 0)
        _exit(5);
    free(line);
    free(large);
    free(block);
}

static void at_exit(void) {
    free(from_main);
    allocate_and_say("atexit");
}

static bool say_when_unloaded;

__attribute__((destructor(101))) static void allocate_in_destructor(void) {
    if (say_when_unloaded)
        allocate_and_say("destructor");
}

static void *go_on_allocating(void *unused) {
    (void)unused;
    for (;;)
        free(malloc(2000));
    return NULL;
}

static int play_ending(const char *with_threads) {
    say_when_unloaded = true;
    from_main = malloc(1234);
    if (atexit(at_exit) != 0)
        return 1;
    pthread_t thread;
    for (int i = 0; strcmp(with_threads, "threads") == 0 && i < 3; i++)
        if (pthread_create(&thread, NULL, go_on_allocating, NULL) != 0)
            return 1;
    return 0;
}

static void atexit_handlers_and_destructors_allocate(void **state) {
    (void)state;
    struct run run;
    run_self(&run, "ending", "alone", NULL, NULL);
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "atexit\ndestructor\n");
}

static void a_process_ends_while_its_threads_allocate(void **state) {
    (void)state;
    for (size_t i = 0; i < 20; i++) {
        struct run run;
        run_self(&run, "ending", "threads", NULL, NULL);
        assert_int_equal(run.status, 0);
        assert_string_equal(run.out, "atexit\ndestructor\n");
    }
}

/* --- Little address space --------------------------------------------------------------------- */

/* Uses half of what the limit allows, in blocks of many sizes, twice. */
static int play_limited(const char *limit_mib) {
    enum { COUNT = 4000 };
    static void *blocks[COUNT];
    size_t goal = strtoul(limit_mib, NULL, 10) * MIB / 2;
    for (int round = 0; round < 2; round++) {
        size_t used = 0, count = 0;
        for (; used < goal && count < COUNT; count++) {
            size_t size = count % 40 == 0 ? 3 * MIB : 100 * (count % 50);
            blocks[count] = malloc(size);
            if (blocks[count] == NULL)
                return 1;
            pattern_write(blocks[count], size, count);
            used += size;
        }
        for (size_t i = 0; i < count; i++)
            free(blocks[i]);
    }
    puts("main ran");
    return 0;
}

static void limit_address_space(const void *limit_mib) {
    rlim_t limit_bytes = strtoul(limit_mib, NULL, 10) * MIB;
    setrlimit(RLIMIT_AS, &(struct rlimit){limit_bytes, limit_bytes});
}

static void half_of_a_limited_address_space_can_be_allocated(void **state) {
    (void)state;
    const char *const limits_mib[] = {"512", "1024", "8192"};
    for (size_t i = 0; i < sizeof limits_mib / sizeof *limits_mib; i++) {
        struct run run;
        run_self(&run, "limited", limits_mib[i], limit_address_space, limits_mib[i]);
        assert_int_equal(run.status, 0);
        assert_string_equal(run.out, "main ran\n");
    }
}

/* --- Libraries that come and go --------------------------------------------------------------- */

/* A library that allocates in its constructor, its destructor and when called. */
static const char library_source[] =
    "#include <stdlib.h>\n#include <string.h>\n#include <pthread.h>\n"
    "static void *kept; static pthread_key_t key;\n"
    "__attribute__((constructor)) static void begin(void)\n"
    "{ kept = malloc(3000); memset(kept, 1, 3000); pthread_key_create(&key, free); }\n"
    "__attribute__((destructor)) static void end(void)\n"
    "{ free(kept); free(calloc(1, 200000)); pthread_key_delete(key); }\n"
    "void *make(size_t size) { void *block = malloc(size); memset(block, 0x42, size);\n"
    " pthread_setspecific(key, NULL); return block; }\n";

static char folder[] = "/tmp/numa_alloc_test_XXXXXX", library_path[64];

static int build_library(void **state) {
    require_numa_alloc(state);
    char source_path[64], command[256];
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(source_path, sizeof source_path, "%s/library.c", folder);
    snprintf(library_path, sizeof library_path, "%s/library.so", folder);
    FILE *source = fopen(source_path, "w");
    if (source == NULL || fputs(library_source, source) < 0 || fclose(source) != 0)
        return -1;
    snprintf(command, sizeof command, "gcc -shared -fPIC -o %s %s", library_path, source_path);
    return system(command) == 0 ? 0 : -1;
}

static int remove_library(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void *load_call_unload(void *unused) {
    (void)unused;
    void *library = dlopen(library_path, RTLD_NOW);
    if (library == NULL)
        return NULL;
    void *(*make)(size_t) = (void *(*)(size_t))dlsym(library, "make");
    void *block = make != NULL ? make(4000) : NULL;
    dlclose(library);
    return block;
}

static bool is_as_made(const unsigned char *block) {
    return block != NULL && block[0] == 0x42 && memcmp(block, block + 1, 3999) == 0;
}

static void blocks_outlive_the_library_that_made_them(void **state) {
    (void)state;
    size_t before = 0;
    for (size_t i = 0; i < 500; i++) {
        if (i == 50)
            before = resident_bytes();
        void *block = load_call_unload(NULL);
        assert_true(is_as_made(block));
        free(block);
    }
    assert_true(resident_bytes() < before + 8 * MIB);
}

static void *check_library_in_thread(void *unused) {
    size_t failures = 0;
    for (size_t i = 0; i < 30; i++) {
        void *block = load_call_unload(unused);
        failures += !is_as_made(block);
        free(block);
    }
    return (void *)failures;
}

static void threads_load_and_unload_libraries(void **state) {
    (void)state;
    assert_int_equal(run_threads(4, check_library_in_thread, NULL), 0);
}

/* --- Our library, opened by hand -------------------------------------------------------------- */

static void *free_with(void *argument) {
    void **free_and_block = argument;
    ((void (*)(void *))free_and_block[0])(free_and_block[1]);
    return NULL;
}

/* Without LD_PRELOAD: opened, used, closed, and used again, also by a thread that ends after. */
static int play_dlopen(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    void *(*malloc_)(size_t) = (void *(*)(size_t))dlsym(library, "malloc");
    void (*free_)(void *) = (void (*)(void *))dlsym(library, "free");
    if (malloc_ == NULL || free_ == NULL || (void *)malloc_ == (void *)malloc)
        return 2;
    void *block = malloc_(1000);
    dlclose(library);
    pattern_write(block, 1000, 3);
    void *another = malloc_(100000);
    void *free_and_block[2] = {(void *)free_, another};
    if (in_thread(free_with, free_and_block) != 0 || !pattern_holds(block, 1000, 3))
        return 3;
    free_(block);
    puts("closed and used");
    return 0;
}

static void unset_preload(const void *unused) {
    (void)unused;
    unsetenv("LD_PRELOAD");
}

static void the_library_works_after_its_own_dlclose(void **state) {
    (void)state;
    Dl_info info;
    struct run run;
    assert_true(dladdr((void *)malloc, &info) != 0);
    if (any_allocator() && !lies_in((void *)malloc, "numa_alloc.so"))
        return; /* libc cannot be closed */
    run_self(&run, "dlopen", info.dli_fname, unset_preload, NULL);
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, "closed and used\n");
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "ending") == 0)
        return play_ending(argv[2]);
    if (argc > 2 && strcmp(argv[1], "dlopen") == 0)
        return play_dlopen(argv[2]);
    if (argc > 2 && strcmp(argv[1], "limited") == 0)
        return play_limited(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_from_before_every_constructor_are_good),
        cmocka_unit_test(blocks_from_an_early_constructor_are_good),
        cmocka_unit_test(atexit_handlers_and_destructors_allocate),
        cmocka_unit_test(a_process_ends_while_its_threads_allocate),
        cmocka_unit_test(half_of_a_limited_address_space_can_be_allocated),
        cmocka_unit_test(blocks_outlive_the_library_that_made_them),
        cmocka_unit_test(threads_load_and_unload_libraries),
        cmocka_unit_test(the_library_works_after_its_own_dlclose),
    };
    return cmocka_run_group_tests(tests, build_library, remove_library);
}
