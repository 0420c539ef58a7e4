/* The machine's and the control groups' memory. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "alloc/memory_left.c"

#include "fuzz.h"

static const char *const files[] = {"self/cgroup",    "meminfo",          "memory.max",
                                    "a/memory.max",   "a/memory.current", "a/memory.stat",
                                    "a/b/memory.max", "a/b/memory.stat",  "a/b/memory.current"};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char text[MEMORY_FILE_MAX];
    fuzz_files(&bytes, &size, files, sizeof files / sizeof *files);
    uint64_t left_bytes = memory_left_bytes(fuzz_folder(), fuzz_folder());
    fuzz_expect(left_bytes <= machine_left_bytes(fuzz_folder(), text));
    return 0;
}
