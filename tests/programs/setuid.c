/* setuid uid|work|unprivileged: prints the effective user id, or a sum over blocks. "work" demands
 * to be in secure mode, "unprivileged" not to be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    if (strcmp(argv[1], "uid") == 0) {
        printf("%u\n", (unsigned)geteuid());
        return 0;
    }
    if ((getauxval(AT_SECURE) != 0) != (strcmp(argv[1], "work") == 0)) {
        fprintf(stderr, "AT_SECURE is %lu\n", getauxval(AT_SECURE));
        return 1;
    }
    unsigned char *blocks[1000];
    unsigned long sum = 0;
    for (size_t i = 0; i < 1000; i++) {
        blocks[i] = malloc(i * 100 + 1);
        if (blocks[i] == NULL)
            return 1;
        memset(blocks[i], (int)(i % 251), i * 100 + 1);
    }
    for (size_t i = 0; i < 1000; i++) {
        sum += blocks[i][i * 100];
        free(blocks[i]);
    }
    printf("%s: %lu\n", argv[1], sum);
    return 0;
}
