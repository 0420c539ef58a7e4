/* A library with thread-locals, blocks from its constructor on, and a destructor for each thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#ifndef NUMBER /* of the library: its builder says */
#define NUMBER 1
#endif

long use(long number);

static __thread char *kept;
static __thread char large[3000 * NUMBER] = {NUMBER};
static char *whole;
static pthread_key_t key;

static void thread_ends(void *block) {
    free(block);
    free(malloc(100)); /* as destructors may */
}

__attribute__((constructor)) static void opened(void) {
    whole = malloc(5000);
    if (whole == NULL || pthread_key_create(&key, thread_ends) != 0)
        abort();
    memset(whole, NUMBER, 5000);
}

__attribute__((destructor)) static void closed(void) {
    pthread_key_delete(key);
    free(whole);
}

long use(long number) {
    if (pthread_getspecific(key) == NULL)
        pthread_setspecific(key, malloc(64 + (size_t)number % 1000));
    free(kept);
    kept = malloc(200 + (size_t)number % 5000);
    if (kept == NULL)
        abort();
    memset(kept, (int)number, 200);
    large[number % 3000]++;
    long sum = whole[number % 5000] + kept[number % 200] + large[0] * 0;
    if (number % 3 == 0) {
        free(kept);
        kept = NULL;
    }
    return sum;
}
