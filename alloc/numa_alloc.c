/* numa_alloc: a malloc that puts a program's heap on the memory node its user names.
 *
 * One translation unit: cxx.c includes entry.c, which includes what it needs, down to base.h. From
 * the lowest layer up:
 *
 *   base.h sys.c lock.c text.c        constants, the kernel, a lock, text without allocation
 *   topology.c config.c runtime.c     the machine's nodes, the environment, the process's state
 *   size_class.c types.h meta.c       sizes, data structures, memory for the latter
 *   slices.c segment_table.c pool.c   runs of 64 KiB, address to segment, a node's memory
 *   span.c huge.c                     large blocks
 *   page.c heap.c thread.c            small blocks
 *   core.c stats.c entry.c cxx.c      malloc and free, what they can tell, their public names
 *
 * docs/ARCHITECTURE.md follows one malloc and one remote free through them. */
#include "cxx.c"
