/* What the workload tells the injector by prctl: the injector stops it there and reads the first
 * argument; the kernel knows no such option and refuses it. */
#ifndef TESTS_INJECTION_PROTOCOL_H
#define TESTS_INJECTION_PROTOCOL_H

enum {
    MARK_CLOSE = 0x6e615f30, /* from here on the kernel is itself again */
    MARK_OPEN = 0x6e615f31,  /* calls count, and may fail, from here on */
};

/* Where the workload's verdict goes. */
enum { VERDICT_FD = 3 };

#endif
