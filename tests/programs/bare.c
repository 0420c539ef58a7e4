/* Allocates on several threads and in a child; exit status 0 when all was as it should be. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *work(void *argument) {
    size_t seed = (size_t)argument;
    unsigned char *blocks[200] = {NULL};
    for (size_t i = 0; i < 20000; i++) {
        size_t size = (i * 7919 + seed) % (i % 100 == 0 ? 300000 : 3000) + 1;
        unsigned char **block = &blocks[i * 31 % 200];
        if (*block != NULL && **block != (unsigned char)(i * 31 % 200))
            return "changed";
        free(*block);
        *block = malloc(size);
        if (*block == NULL)
            return "none";
        memset(*block, (int)(i * 31 % 200), size);
    }
    for (size_t i = 0; i < 200; i++)
        free(blocks[i]);
    return NULL;
}

int main(void) {
    pthread_attr_t attributes;
    pthread_t threads[3];
    void *wrong;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    for (size_t i = 0; i < 3; i++)
        if (pthread_create(&threads[i], &attributes, work, (void *)(i + 1)) != 0)
            return 10;
    for (size_t i = 0; i < 3; i++)
        if (pthread_join(threads[i], &wrong) != 0 || wrong != NULL)
            return 11;
    pid_t child = fork();
    if (child == 0)
        exit(work((void *)9) != NULL);
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        return 12;
    return work((void *)5) == NULL ? 0 : 13;
}
