/* The allocator itself: bytes choose the torture's operations, on the same model. */
#include "tests/torture/calls.h"
#include "tests/torture/operations.h"

#include "fuzz.h"

#include <stdlib.h>

static struct slot slots[PRIVATE_SLOTS];
static struct worker worker = {.slots = slots};

static void begin(void) {
    calls_find();
    settings = (struct settings){
        .seed = 1, .threads = 1, .stuck_seconds = 60, .policy = getenv("NUMA_ALLOC_POLICY")};
    settings.node_mask = 1;
    settings.aborts = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (settings.threads == 0)
        begin();
    struct chance chance = {0, bytes, size};
    worker.operation = 0;
    worker.keys = 0;
    while (chance.bytes_left > 0)
        operate(&worker, &chance);
    free_all(&worker, 1);
    return 0;
}
