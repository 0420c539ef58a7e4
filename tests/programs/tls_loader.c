/* tls_loader FOLDER ROUNDS: four threads open, use and close FOLDER/library{1..4}.so; the number
 * printed is known. Each thread keeps to the end what it may: a key's destructor must not run in a
 * library that is closed, so a thread of its own uses the library and has ended when that is
 * closed. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct visit {
    long (*use)(long);
    long first, sum;
};

static const char *folder;
static long rounds;

static void *user(void *argument) {
    struct visit *visit = argument;
    for (long i = 0; i < 50; i++)
        visit->sum += visit->use(visit->first + i);
    return NULL;
}

static void visit_library(int number, long first, long *sum) {
    char path[4096];
    snprintf(path, sizeof path, "%s/library%d.so", folder, number);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    struct visit visit = {.first = first};
    if (library != NULL)
        visit.use = (long (*)(long))dlsym(library, "use");
    pthread_t thread;
    if (visit.use == NULL || pthread_create(&thread, NULL, user, &visit) != 0) {
        fprintf(stderr, "%s: %s\n", path, dlerror());
        exit(1);
    }
    pthread_join(thread, NULL);
    if (dlclose(library) != 0)
        exit(1);
    *sum += visit.sum;
}

static void *loader(void *argument) {
    long *sum = argument, seed = *sum;
    *sum = 0;
    char *across = NULL;
    for (long round = 0; round < rounds; round++) {
        free(across);
        across = malloc((size_t)(round * 7919 % 100000) + 8);
        memset(across, 1, 8);
        visit_library((int)((round + seed) % 4) + 1, round * 50 + seed, sum);
        *sum += across[7];
    }
    free(across);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    folder = argv[1];
    rounds = atol(argv[2]);
    pthread_t threads[4];
    long sums[4];
    for (int i = 0; i < 4; i++) {
        sums[i] = i;
        if (pthread_create(&threads[i], NULL, loader, &sums[i]) != 0)
            return 1;
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        printf("%ld\n", sums[i]);
    }
    return 0;
}
