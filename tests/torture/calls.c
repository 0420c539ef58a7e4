#include "calls.h"

#include <dlfcn.h>
#include <string.h>

struct calls calls;

#ifdef TORTURE_RENAMED /* the allocator is in this program, by names of its own (Makefile) */

#define DECLARE(result, name, parameters) result torture_##name parameters;
TORTURE_CALLS(DECLARE)

void calls_find(void) {
#define TAKE(result, name, parameters) calls.name = torture_##name;
    TORTURE_CALLS(TAKE)
}

#else

/* As a program linked with it would find it. dlsym's answer is no function pointer in ISO C. */
static void find(void *call, const char *name) {
    void *found = dlsym(RTLD_DEFAULT, name);
    memcpy(call, &found, sizeof found);
}

void calls_find(void) {
#define FIND(result, name, parameters) find(&calls.name, #name);
    TORTURE_CALLS(FIND)
}

#endif
