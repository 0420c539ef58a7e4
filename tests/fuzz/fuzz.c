#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fuzz_fail(const char *condition, const char *file, int line) {
    fprintf(stderr, "%s:%d: expected %s\n", file, line, condition);
    abort();
}

bool fuzz_text(const uint8_t **bytes, size_t *size, char *text, size_t capacity) {
    size_t length = 0;
    text[0] = '\0';
    if (*size == 0)
        return false;
    while (*size > 0 && **bytes != FUZZ_SEPARATOR) {
        if (**bytes != 0 && length < capacity - 1)
            text[length++] = (char)**bytes;
        (*bytes)++, (*size)--;
    }
    if (*size > 0)
        (*bytes)++, (*size)--;
    text[length] = '\0';
    return true;
}

static char folder[64];

static void remove_folder(void) {
    char command[sizeof folder + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "fuzz: %s stays\n", folder);
}

const char *fuzz_folder(void) {
    if (folder[0] != '\0')
        return folder;
    snprintf(folder, sizeof folder, "%s/numa_fuzz_XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL) {
        perror("fuzz: no folder");
        exit(1);
    }
    atexit(remove_folder);
    return folder;
}

static void make_folders(char *path) {
    for (char *at = path + strlen(folder) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
}

static void put_file(const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        make_folders(path);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    }
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        perror("fuzz: cannot write");
    if (fd >= 0)
        close(fd);
}

void fuzz_files(const uint8_t **bytes, size_t *size, const char *const *names, size_t count) {
    static char text[16384], path[512];
    for (size_t i = 0; i < count; i++) {
        if (fuzz_text(bytes, size, text, sizeof text) && strcmp(text, "-") != 0) {
            put_file(names[i], text);
        } else {
            snprintf(path, sizeof path, "%s/%s", fuzz_folder(), names[i]);
            (void)unlink(path);
        }
    }
}
