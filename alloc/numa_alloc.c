/* numa_alloc: a malloc that puts a program's heap on the memory node its user names.
 *
 * One translation unit: api.c includes entry.c and that, in turn, what it needs, down to base.h.
 * From the lowest layer up:
 *
 *   base.h sys.c lock.c text.c        constants, the kernel, a lock, text without allocation
 *   topology.c config.c runtime.c     the machine's nodes, the environment, the process's state
 *   size_class.c types.h meta.c       sizes, data structures, memory for the latter
 *   rotation.c memory_left.c          nodes that take turns, memory there is
 *   first_touch.c                     placing where the kernel refuses to
 *   placement.c huge_pages.c          asking the kernel for nodes, and for larger pages
 *   slices.c segment_table.c kept.c   runs of 64 KiB, address to segment, freed huge blocks
 *   pool.c huge.c                     a node's memory, blocks that are mappings
 *   page.c heap.c mail.c thread.c     small blocks
 *   process.c span.c                  set-up and fork, blocks that are runs
 *   core.c residency.c stats.c        malloc and free, what they can tell
 *   stats_json.c memcheck.c           that as JSON; what valgrind is told, in a build for it
 *   entry.c cxx.c api.c               the public names
 *
 * docs/ARCHITECTURE.md follows one malloc and one remote free through them. */
#include "api.c"
#include "cxx.c"
