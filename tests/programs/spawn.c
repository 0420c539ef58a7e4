/* spawn ROUNDS: four threads start programs in every way there is while two others allocate all the
 * time. Each child's exit status or output is what was asked for. */
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static long rounds;
static atomic_bool done;
static atomic_long right;

static int status_of(pid_t child) {
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int by_vfork(char **arguments) {
    pid_t child = vfork();
    if (child == 0) {
        execv(arguments[0], arguments);
        _exit(127);
    }
    return status_of(child);
}

static int by_spawn(char **arguments) {
    pid_t child;
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_addopen(&actions, 5, "/dev/null", 0, 0) != 0 ||
        posix_spawn(&child, arguments[0], &actions, NULL, arguments, environ) != 0)
        return -1;
    posix_spawn_file_actions_destroy(&actions);
    return status_of(child);
}

/* The child allocates, and frees what its parent had. */
static int by_fork(int number) {
    char *block = malloc(10000);
    memset(block, number, 10000);
    pid_t child = fork();
    if (child == 0) {
        char *mine = malloc(200000);
        memset(mine, block[9999], 200000);
        int seen = mine[199999];
        free(block);
        free(mine);
        exit(seen);
    }
    free(block);
    return status_of(child);
}

static int by_popen(int number) {
    char command[64], answer[64] = "";
    snprintf(command, sizeof command, "echo $((%d + 1))", number);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL || fgets(answer, sizeof answer, pipe) == NULL || pclose(pipe) != 0)
        return -1;
    return atoi(answer) - 1;
}

static int by_system(int number) {
    char command[64];
    snprintf(command, sizeof command, "exit %d", number);
    int status = system(command);
    return status < 0 ? -1 : WEXITSTATUS(status);
}

static void *starter(void *unused) {
    (void)unused;
    for (int i = 0; i < rounds; i++) {
        char command[32];
        int number = i % 100;
        snprintf(command, sizeof command, "exit %d", number);
        char *arguments[] = {"/bin/sh", "-c", command, NULL};
        right += (by_vfork(arguments) == number) + (by_spawn(arguments) == number) +
                 (by_fork(number) == number) + (by_popen(number) == number) +
                 (by_system(number) == number);
    }
    return NULL;
}

static void *allocator(void *unused) {
    void *blocks[100] = {unused};
    for (size_t i = 0; !done; i++) {
        free(blocks[i % 100]);
        blocks[i % 100] = malloc(i * 7919 % 100000);
    }
    for (int i = 0; i < 100; i++)
        free(blocks[i]);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    rounds = atol(argv[1]);
    pthread_t starters[4], allocators[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&allocators[i], NULL, allocator, NULL);
    for (int i = 0; i < 4; i++)
        pthread_create(&starters[i], NULL, starter, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(starters[i], NULL);
    done = true;
    for (int i = 0; i < 2; i++)
        pthread_join(allocators[i], NULL);
    printf("%ld of %ld children as asked\n", right, rounds * 20);
    return right == rounds * 20 ? 0 : 1;
}
