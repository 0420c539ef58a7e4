/* The record of a run: written under another name, and renamed once it is on the disk. */
#include "run_cell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noreturn)) static void fail_at(const char *path, int why) {
    fail(STATUS_OWN_FAILURE, "%s: %s", path, strerror(why));
}

/* Makes the names in a folder last through a power cut. */
static void sync_folder(const struct record_place *place) {
    if (fsync(place->folder) != 0 && errno != EINVAL) { /* not every file system can */
        int why = errno;
        unlink(place->path);
        fail_at(place->path, why);
    }
}

void record_begin(struct record_place *place, const char *path) {
    place->path = path;
    int length = snprintf(place->unfinished, sizeof place->unfinished, "%s.tmp", path);
    if (length >= (int)sizeof place->unfinished)
        fail_at(path, ENAMETOOLONG);
    char *folder = strdup(path);
    if (folder == NULL)
        fail_at(path, ENOMEM);
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder ? 1 : 0] = '\0';
    const char *name = slash != NULL ? folder : ".";
    place->folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->folder < 0 || faccessat(AT_FDCWD, name, W_OK, AT_EACCESS) != 0)
        fail_at(path, errno);
    free(folder);
    if (unlink(path) == 0)
        sync_folder(place);
    else if (errno != ENOENT)
        fail_at(path, errno);
}

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void print_command(FILE *file, const struct outcome *command) {
    const struct rusage *usage = &command->usage;
    bool signalled = command->ran && WIFSIGNALED(command->status);
    fprintf(file, " \"wall_s\": %.9f,\n \"user_s\": %.6f,\n \"system_s\": %.6f,\n", command->wall_s,
            seconds_of(usage->ru_utime), seconds_of(usage->ru_stime));
    fprintf(file,
            " \"peak_memory_bytes\": %ld,\n \"minor_faults\": %ld,\n \"major_faults\": %ld,\n",
            usage->ru_maxrss * 1024, usage->ru_minflt, usage->ru_majflt);
    fprintf(file, " \"voluntary_switches\": %ld,\n \"involuntary_switches\": %ld,\n",
            usage->ru_nvcsw, usage->ru_nivcsw);
    if (command->ran && !signalled)
        fprintf(file, " \"exit_status\": %d,\n", WEXITSTATUS(command->status));
    else
        fputs(" \"exit_status\": null,\n", file);
    fprintf(file, " \"signal\": %d,\n \"timed_out\": %s,\n",
            signalled ? WTERMSIG(command->status) : 0, command->timed_out ? "true" : "false");
}

static void print_part(FILE *file, const char *name, const struct outcome *outcome) {
    if (outcome->ran)
        fprintf(file, " \"%s_status\": %d,\n", name, shell_status(outcome->status));
    else
        fprintf(file, " \"%s_status\": null,\n", name);
}

void record_write(const struct record_place *place, const struct cell *cell) {
    char started_at[32];
    strftime(started_at, sizeof started_at, "%Y-%m-%dT%H:%M:%SZ", gmtime(&cell->started_at));
    FILE *file = fopen(place->unfinished, "we");
    if (file == NULL)
        fail_at(place->path, errno);
    fprintf(file, "{\"version\": 1,\n \"started_at\": \"%s\",\n", started_at);
    print_command(file, &cell->command);
    print_part(file, "setup", &cell->setup);
    print_part(file, "teardown", &cell->teardown);
    fprintf(file, " \"ended_processes\": %d}\n", cell->ended_processes);
    if (fflush(file) != 0 || ferror(file) != 0 || fsync(fileno(file)) != 0 ||
        rename(place->unfinished, place->path) != 0) {
        int why = errno;
        unlink(place->unfinished);
        fail_at(place->path, why);
    }
    fclose(file);
    sync_folder(place);
}
