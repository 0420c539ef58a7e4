#include "migration_reader.h"

#include "clock.h"

static void read_on(struct migration_reader *reader) {
    /* On a busy machine the other thread may be late. */
    while (reader->shuttle != NULL && !atomic_load(&reader->begun))
        reader->at = ring_chase(reader->at, MIGRATION_SPAN_LOADS);
    watch_read(&reader->before);
    uint64_t started_ns = clock_ns(), earlier_ns = started_ns, now_ns;
    do {
        reader->at = ring_chase(reader->at, MIGRATION_SPAN_LOADS);
        now_ns = clock_ns();
        migration_spans_add(&reader->spans, now_ns - earlier_ns);
        earlier_ns = now_ns;
    } while (now_ns - started_ns < reader->min_ns);
    watch_read(&reader->after);
}

static void move_on(struct migration_reader *reader) {
    uint64_t started_ns = clock_ns();
    atomic_store(&reader->begun, true);
    do
        reader->moved += migration_step(reader->shuttle, &reader->error);
    while (!atomic_load_explicit(&reader->done, memory_order_relaxed) && reader->error == 0);
    reader->moving_ns = clock_ns() - started_ns;
}

static void work(void *context, size_t member) {
    struct migration_reader *reader = context;
    if (member == 0) {
        read_on(reader);
        atomic_store_explicit(&reader->done, true, memory_order_relaxed);
    } else if (reader->shuttle != NULL) {
        move_on(reader);
    }
}

void migration_read(struct migration_reader *reader, struct crew *crew) {
    migration_spans_clear(&reader->spans);
    reader->moved = 0;
    reader->moving_ns = 0;
    reader->error = 0;
    atomic_store(&reader->begun, false);
    atomic_store(&reader->done, false);
    if (reader->shuttle != NULL)
        crew_do(crew, work, reader);
    else
        read_on(reader);
}

enum disturbance migration_read_disturbance(const struct migration_reader *reader,
                                            const struct watch *watch, unsigned cpu) {
    enum disturbance found = watch_compare(watch, &reader->before, &reader->after, cpu);
    return found == DISTURBED_FAULTED ? UNDISTURBED : found;
}
