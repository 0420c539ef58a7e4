#include "migration_reader.h"

#include "clock.h"

/* On a busy machine the other thread may be late. False when it has not begun in time. */
static bool await_mover(struct migration_reader *reader) {
    uint64_t started_ns = clock_ns();
    while (!atomic_load(&reader->begun)) {
        reader->at = ring_chase(reader->at, MIGRATION_SPAN_LOADS);
        if (clock_ns() - started_ns > reader->patience_ns)
            return false;
    }
    return true;
}

static void read_on(struct migration_reader *reader) {
    if (reader->shuttle != NULL && !await_mover(reader))
        return;
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

/* Only a look tells what moved: mbind succeeds without. It is not part of the time. */
static void move_on(struct migration_reader *reader) {
    struct migration_shuttle *shuttle = reader->shuttle;
    atomic_store(&reader->begun, true);
    do {
        size_t first = shuttle->next;
        uint64_t started_ns = clock_ns();
        size_t asked = migration_step(shuttle, &reader->error);
        reader->moving_ns += clock_ns() - started_ns;
        reader->asked += asked;
        if (asked > 0)
            migration_look(shuttle->memory, first, asked, &reader->changes);
    } while (!atomic_load_explicit(&reader->done, memory_order_relaxed) && reader->error == 0);
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

bool migration_read(struct migration_reader *reader, struct crew *crew) {
    migration_spans_clear(&reader->spans);
    reader->asked = 0;
    reader->changes = (struct migration_changes){0};
    reader->moving_ns = 0;
    reader->error = 0;
    atomic_store(&reader->begun, false);
    atomic_store(&reader->done, false);
    if (reader->shuttle != NULL)
        return crew_try(crew, work, reader, reader->patience_ns);
    read_on(reader);
    return true;
}

enum disturbance migration_read_disturbance(const struct migration_reader *reader,
                                            const struct watch *watch, unsigned cpu) {
    enum disturbance found = watch_compare(watch, &reader->before, &reader->after, cpu);
    return found == DISTURBED_FAULTED ? UNDISTURBED : found;
}
