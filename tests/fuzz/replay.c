/* Runs a fuzz target without a fuzzer: on each file of the folders given, and on mutations of them,
 * made from a fixed seed. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1 << 16, INPUTS_MAX = 512 };

static struct input {
    uint8_t *bytes;
    size_t size;
} inputs[INPUTS_MAX];
static size_t input_count;

static void read_input(const char *path) {
    static uint8_t bytes[INPUT_MAX];
    FILE *file = fopen(path, "re");
    if (file == NULL || input_count == INPUTS_MAX)
        return;
    struct input *input = &inputs[input_count++];
    input->size = fread(bytes, 1, sizeof bytes, file);
    input->bytes = malloc(input->size + 1);
    fclose(file);
    if (input->bytes == NULL)
        exit(1);
    memcpy(input->bytes, bytes, input->size);
}

static void read_folder(const char *folder) {
    struct dirent **names = NULL;
    int count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            read_input(path);
        free(names[i]);
    }
    free(names);
}

static uint64_t random_state = 88172645463325252U;

/* Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (2003). */
static size_t random_below(size_t bound) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % bound);
}

/* Changes, inserts, removes or repeats bytes, or takes on another input's end. */
static size_t mutate(uint8_t *bytes, size_t size) {
    static const char likely[] = "0123456789-,:=KMG \n.x";
    size_t at = size == 0 ? 0 : random_below(size), length = 1 + random_below(8);
    const struct input *other = &inputs[random_below(input_count)];
    switch (random_below(6)) {
    case 0:
        if (size > 0)
            bytes[at] = (uint8_t)random_below(256);
        return size;
    case 1:
        if (size > 0)
            bytes[at] = (uint8_t)likely[random_below(sizeof likely - 1)];
        return size;
    case 2:
        length = length < size - at ? length : size - at;
        memmove(bytes + at, bytes + at + length, size - at - length);
        return size - length;
    case 3:
        if (size + length > INPUT_MAX || at + length > size)
            return size;
        memmove(bytes + at + length, bytes + at, size - at);
        return size + length;
    case 4:
        if (size + length > INPUT_MAX)
            return size;
        memmove(bytes + at + length, bytes + at, size - at);
        memset(bytes + at, likely[random_below(sizeof likely - 1)], length);
        return size + length;
    default:
        length = other->size == 0 ? 0 : random_below(other->size);
        if (at + length > INPUT_MAX)
            return size;
        memcpy(bytes + at, other->bytes + other->size - length, length);
        return at + length;
    }
}

int main(int argc, char **argv) {
    static uint8_t bytes[INPUT_MAX];
    if (argc < 3) {
        fprintf(stderr, "Usage: %s MUTATIONS FOLDER...\n", argv[0]);
        return 2;
    }
    for (int i = 2; i < argc; i++)
        read_folder(argv[i]);
    for (size_t i = 0; i < input_count; i++)
        (void)LLVMFuzzerTestOneInput(inputs[i].bytes, inputs[i].size);
    size_t mutations = strtoul(argv[1], NULL, 10);
    for (size_t i = 0; i < mutations && input_count > 0; i++) {
        const struct input *input = &inputs[random_below(input_count)];
        size_t size = input->size;
        memcpy(bytes, input->bytes, size);
        for (size_t changes = 1 + random_below(4); changes > 0; changes--)
            size = mutate(bytes, size);
        uint8_t *exact = malloc(size + 1); /* of its own, so that reading past its end is seen */
        if (exact == NULL)
            return 1;
        memcpy(exact, bytes, size);
        (void)LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    printf("%zu inputs, %zu mutations\n", input_count, mutations);
    return input_count == 0;
}
