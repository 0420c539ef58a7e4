#include "workload.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"

void workload_broken(const struct worker *worker, const char *format, ...) {
    static atomic_flag said = ATOMIC_FLAG_INIT;
    char what[200], line[320];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    int length = snprintf(line, sizeof line, "allocs: %s: thread %u: %s\n",
                          worker->run->workload->name, worker->index, what);
    /* No stdio: the heap is broken. One line: what other threads find follows from the first. */
    if (!atomic_flag_test_and_set(&said))
        length = (int)write(STDERR_FILENO, line, (size_t)length);
    _exit(1);
}

uint64_t worker_batch(struct worker *worker, uint64_t most) {
    const struct run *run = worker->run;
    if (run->operations == 0) {
        if (clock_ns() - worker->started_ns >= run->duration_ns)
            return 0;
    } else if (most > worker->share - worker->done) {
        most = worker->share - worker->done;
    }
    worker->done += most;
    return most;
}

struct worker worker_child(struct worker *parent) {
    return (struct worker){.run = parent->run,
                           .index = parent->index,
                           .random_state = random_next(parent),
                           .serial = parent->serial};
}

void *worker_table(const struct worker *worker, size_t count, size_t size_bytes) {
    void *table = calloc(count, size_bytes);
    if (table == NULL)
        workload_broken(worker, "no memory for a table of %zu bytes", count * size_bytes);
    return table;
}

struct started_worker {
    struct worker worker;
    pthread_t thread;
    pthread_barrier_t *barrier;
};

static void *work(void *argument) {
    struct started_worker *started = argument;
    pthread_barrier_wait(started->barrier);
    started->worker.started_ns = clock_ns();
    started->worker.run->workload->work(&started->worker);
    started->worker.ended_ns = clock_ns();
    return NULL;
}

unsigned workload_sharers(const struct workload *workload, unsigned threads) {
    unsigned sharers = 0;
    for (unsigned i = 0; i < threads; i++)
        sharers += workload->has_share == NULL || workload->has_share(i);
    return sharers;
}

struct run_result workload_run(struct run *run) {
    struct started_worker *workers = calloc(run->threads, sizeof *workers);
    pthread_barrier_t barrier;
    struct worker first = {.run = run};
    if (workers == NULL || pthread_barrier_init(&barrier, NULL, run->threads) != 0)
        workload_broken(&first, "no memory for %u threads", run->threads);
    if (run->workload->prepare != NULL)
        run->workload->prepare(run);
    unsigned sharers = workload_sharers(run->workload, run->threads), sharer = 0;
    for (unsigned i = 0; i < run->threads; i++) {
        uint64_t share = 0;
        if (run->workload->has_share == NULL || run->workload->has_share(i))
            share = run->operations / sharers + (sharer++ < run->operations % sharers);
        workers[i].barrier = &barrier;
        workers[i].worker = (struct worker){.run = run,
                                            .index = i,
                                            .random_state = run->seed ^ (uint64_t)i << 32,
                                            .serial = i << 24,
                                            .share = share};
        random_next(&workers[i].worker);
    }
    /* The calling thread works as well, so that a run of one thread is a program of one thread:
     * some allocators leave out their locks in such a program. */
    for (unsigned i = 1; i < run->threads; i++) {
        int error = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        if (error != 0)
            workload_broken(&workers[i].worker, "cannot start it: %s", strerror(error));
    }
    work(&workers[0]);
    struct run_result result = {.operations = workers[0].worker.done};
    uint64_t started_ns = workers[0].worker.started_ns, ended_ns = workers[0].worker.ended_ns;
    for (unsigned i = 1; i < run->threads; i++) {
        pthread_join(workers[i].thread, NULL);
        const struct worker *worker = &workers[i].worker;
        started_ns = worker->started_ns < started_ns ? worker->started_ns : started_ns;
        ended_ns = worker->ended_ns > ended_ns ? worker->ended_ns : ended_ns;
        result.operations += worker->done;
    }
    result.wall_ns = ended_ns - started_ns;
    if (run->workload->finish != NULL)
        run->workload->finish(run);
    pthread_barrier_destroy(&barrier);
    free(workers);
    return result;
}
