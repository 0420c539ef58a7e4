#include "crew.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct crew_member {
    struct crew *crew;
    pthread_t thread;
};

/* A barrier whose wait may end, which pthread_barrier_t's cannot. False when the others have not
 * come by the deadline, on CLOCK_MONOTONIC; NULL: they will. */
static bool meet(struct crew *crew, const struct timespec *deadline) {
    unsigned meetings = atomic_load(&crew->meetings);
    if (atomic_fetch_add(&crew->met, 1) + 1 == crew->size) {
        atomic_store(&crew->met, 0);
        atomic_fetch_add(&crew->meetings, 1);
        syscall(SYS_futex, &crew->meetings, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
        return true;
    }
    bool late = false;
    while (atomic_load(&crew->meetings) == meetings && !late)
        late = syscall(SYS_futex, &crew->meetings, FUTEX_WAIT_BITSET_PRIVATE, meetings, deadline,
                       NULL, FUTEX_BITSET_MATCH_ANY) != 0 &&
               errno == ETIMEDOUT;
    return atomic_load(&crew->meetings) != meetings;
}

/* Meets within patience_ns of now. */
static bool meet_soon(struct crew *crew, uint64_t patience_ns) {
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    uint64_t nanoseconds = (uint64_t)deadline.tv_nsec + patience_ns;
    deadline.tv_sec += (time_t)(nanoseconds / 1000000000);
    deadline.tv_nsec = (long)(nanoseconds % 1000000000);
    return meet(crew, &deadline);
}

static void *member_main(void *argument) {
    struct crew_member *member = argument;
    struct crew *crew = member->crew;
    size_t number = (size_t)(member - crew->members);
    for (;;) {
        meet(crew, NULL);
        if (crew->work == NULL)
            return NULL;
        crew->work(crew->context, number);
        meet(crew, NULL);
    }
}

/* Returns 0 or an errno. */
static int bind_member(struct crew_member *member, hwloc_topology_t topology, unsigned cpu) {
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (set == NULL)
        return ENOMEM;
    hwloc_bitmap_only(set, cpu);
    int error = hwloc_set_thread_cpubind(topology, member->thread, set, 0) == 0 ? 0 : errno;
    hwloc_bitmap_free(set);
    return error;
}

int crew_start(struct crew *crew, hwloc_topology_t topology, const unsigned *cpus, size_t size) {
    *crew = (struct crew){
        .size = size,
        .members = calloc(size, sizeof *crew->members),
        .topology = topology,
        .cpu = cpus[0],
    };
    if (crew->members == NULL)
        return ENOMEM;
    int error = 0;
    for (size_t i = 1; i < size && error == 0; i++) {
        struct crew_member *member = &crew->members[i];
        member->crew = crew;
        error = pthread_create(&member->thread, NULL, member_main, member);
        if (error == 0)
            error = bind_member(member, topology, cpus[i]);
    }
    return error;
}

void crew_do(struct crew *crew, crew_work *work, void *context) {
    crew->work = work;
    crew->context = context;
    meet(crew, NULL);
    work(context, 0);
    meet(crew, NULL);
}

bool crew_try(struct crew *crew, crew_work *work, void *context, uint64_t patience_ns) {
    crew->work = work;
    crew->context = context;
    if (!meet_soon(crew, patience_ns))
        return false;
    work(context, 0);
    return meet_soon(crew, patience_ns);
}

void crew_release(struct crew *crew) {
    for (size_t i = 1; i < crew->size; i++)
        bind_member(&crew->members[i], crew->topology, crew->cpu);
}

void crew_end(struct crew *crew) {
    crew->work = NULL;
    meet(crew, NULL);
    for (size_t i = 1; i < crew->size; i++)
        pthread_join(crew->members[i].thread, NULL);
    free(crew->members);
}
