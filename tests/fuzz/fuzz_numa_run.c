/* numa_run's lists of CPUs, and the programs it looks into. */
#pragma GCC diagnostic ignored "-Wunused-function"
#define main numa_run_main
#include "alloc/numa_run.c"
#undef main

#include "fuzz.h"

static bool take_even(void *context, unsigned id, struct text *reason) {
    *(unsigned *)context += 1;
    fuzz_expect(id < CPU_IDS_MAX);
    return id % 2 == 0 || refuse_node(reason, "", id, " is odd");
}

static void check_program(const uint8_t *bytes, size_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s/program", fuzz_folder());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        perror("fuzz: cannot write");
    close(fd);
    struct elf_kind kind = elf_kind_of(path);
    fuzz_expect(kind.known || (!kind.shared && !kind.interpreted));
    fuzz_expect(has_library_inside(path) ==
                (memmem(bytes, size, "NUMA_ALLOC_STATS_SIGNAL", 24) != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char list[512], chars[160];
    struct text reason = {chars, 0, sizeof chars - 1};
    unsigned visited = 0;
    (void)fuzz_text(&bytes, &size, list, sizeof list);
    bool good = read_list(list, CPU_IDS_MAX, take_even, &visited, &reason);
    fuzz_expect(good ? visited > 0 : reason.length > 0);
    check_program(bytes, size);
    return 0;
}
