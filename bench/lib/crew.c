#include "crew.h"

#include <errno.h>
#include <stdlib.h>

struct crew_member {
    struct crew *crew;
    pthread_t thread;
};

static void *member_main(void *argument) {
    struct crew_member *member = argument;
    struct crew *crew = member->crew;
    size_t number = (size_t)(member - crew->members);
    for (;;) {
        pthread_barrier_wait(&crew->barrier);
        if (crew->work == NULL)
            return NULL;
        crew->work(crew->context, number);
        pthread_barrier_wait(&crew->barrier);
    }
}

/* Starts a thread pinned to its CPU; returns 0 or an errno. */
static int start_member(struct crew_member *member, hwloc_topology_t topology, unsigned cpu) {
    int error = pthread_create(&member->thread, NULL, member_main, member);
    if (error != 0)
        return error;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (set == NULL)
        return ENOMEM;
    hwloc_bitmap_only(set, cpu);
    error = hwloc_set_thread_cpubind(topology, member->thread, set, 0) == 0 ? 0 : errno;
    hwloc_bitmap_free(set);
    return error;
}

int crew_start(struct crew *crew, hwloc_topology_t topology, const unsigned *cpus, size_t size) {
    *crew = (struct crew){.size = size, .members = calloc(size, sizeof *crew->members)};
    if (crew->members == NULL)
        return ENOMEM;
    int error = pthread_barrier_init(&crew->barrier, NULL, (unsigned)size);
    for (size_t i = 1; i < size && error == 0; i++) {
        crew->members[i].crew = crew;
        error = start_member(&crew->members[i], topology, cpus[i]);
    }
    return error;
}

void crew_do(struct crew *crew, crew_work *work, void *context) {
    crew->work = work;
    crew->context = context;
    pthread_barrier_wait(&crew->barrier);
    work(context, 0);
    pthread_barrier_wait(&crew->barrier);
}

void crew_end(struct crew *crew) {
    crew->work = NULL;
    pthread_barrier_wait(&crew->barrier);
    for (size_t i = 1; i < crew->size; i++)
        pthread_join(crew->members[i].thread, NULL);
    pthread_barrier_destroy(&crew->barrier);
    free(crew->members);
}
