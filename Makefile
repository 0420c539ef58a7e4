# numa_alloc: `make help` lists the targets.

ifeq ($(origin CC),default)
CC := gcc
endif

BUILD    := build
WARNINGS := -Wall -Wextra -Wshadow -Wconversion
CFLAGS   ?= -O2 -g
STD      := -std=gnu11 -D_GNU_SOURCE
DEPFLAGS  = -MMD -MP -MF $(BUILD)/$(subst /,_,$@).d

# The allocator is one translation unit. initial-exec makes its one thread-local a register-relative
# load; nodelete keeps its code mapped after a dlclose, because blocks and exiting threads still need it;
# initfirst lets its fork handlers be registered before all others (thread.c says why).
ALLOC_CFLAGS  := -O3 -g -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-builtin -fno-plt
ALLOC_LDFLAGS := -shared -Wl,-z,nodelete -Wl,-z,initfirst -Wl,-z,now -Wl,-O1

UBSAN := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all -DNA_DEBUG=1

BENCH_LIBS   := -lnuma -lhwloc -lm -pthread
BENCH_LIB_C  := $(wildcard bench/lib/*.c)
BENCH_PROGS  := $(patsubst %.c,%,$(wildcard bench/*.c))
WORKLOADS_C  := $(wildcard bench/alloc_workloads/*.c)
RUN_CELL_C   := $(wildcard harness/run_cell*.c)

ALLOC_TESTS  := $(patsubst tests/alloc/%.c,%,$(wildcard tests/alloc/test_*.c))
UNIT_TESTS   := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
TEST_BINS    := $(ALLOC_TESTS:%=$(BUILD)/tests/alloc/%) \
                $(UNIT_TESTS:%=$(BUILD)/tests/unit/%) $(UNIT_TESTS:%=$(BUILD)/ubsan/unit/%)
C_FILES      := $(wildcard alloc/*.[ch] harness/*.[ch] bench/*.[ch] bench/lib/*.[ch] bench/alloc_workloads/*.[ch] tests/*/*.[ch] harness/lab/*.[ch] harness/lab/plugin/*.[ch])
TUS          := alloc/numa_alloc.c alloc/numa_run.c $(filter-out alloc/%,$(filter %.c,$(C_FILES)))
SHELL_FILES  := $(wildcard harness/*.sh tests/*.sh harness/lab/*.sh harness/numa_sweep/*.sh harness/slurm/*.sh tests/*/*.sh tests/*/*.bats tests/*/*.bash) .ci/run

.PHONY: all check misuse-table check-programs check-programs-lab check-torture check-tsan check-injection check-kill check-page check-fleet check-slurm check-vm check-lab check-lab-kernels lab lab-locality bench-alloc fuzz coverage lint format clean help
.DELETE_ON_ERROR:

all: alloc/numa_alloc.so alloc/libnuma_alloc.a alloc/numa_run harness/run_cell $(BENCH_PROGS) ## Build the allocator and the benchmarks

$(BUILD)/:
	@mkdir -p $(BUILD)

alloc/numa_alloc.so: alloc/numa_alloc.c | $(BUILD)/
	$(CC) $(STD) $(WARNINGS) $(ALLOC_CFLAGS) $(DEPFLAGS) -MT $@ -o $@.new $< $(ALLOC_LDFLAGS)
	@mv $@.new $@ # at once: a process may have the old one mapped

# For programs, not for shared libraries. One object: who takes one function from it takes them all, since
# malloc and free must come from the same place.
$(BUILD)/numa_alloc.o: alloc/numa_alloc.c | $(BUILD)/
	$(CC) $(STD) $(WARNINGS) $(ALLOC_CFLAGS) -fPIE -DNA_IN_PROGRAM=1 $(DEPFLAGS) -c -o $@ $<

alloc/libnuma_alloc.a: $(BUILD)/numa_alloc.o
	@rm -f $@
	$(AR) rcs $@ $<

alloc/numa_run: alloc/numa_run.c | $(BUILD)/
	$(CC) $(STD) $(WARNINGS) $(CFLAGS) $(DEPFLAGS) -o $@ $<

harness/run_cell: $(RUN_CELL_C:harness/%.c=$(BUILD)/harness/%.o)
	$(CC) $(STD) $(CFLAGS) -o $@.new $(filter %.o,$^)
	@mv $@.new $@ # at once: a sweep may be running the old one

$(BUILD)/harness/%.o: harness/%.c | $(BUILD)/
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(CFLAGS) $(DEPFLAGS) -c -o $@ $<

# For valgrind (alloc/memcheck.c).
$(BUILD)/memcheck/numa_alloc.so: alloc/numa_alloc.c | $(BUILD)/
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(ALLOC_CFLAGS) -O1 -DNA_VALGRIND=1 $(DEPFLAGS) -o $@ $< $(ALLOC_LDFLAGS)

$(BUILD)/memcheck/misuse: tests/memcheck/misuse.c
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) -O0 -g -fno-builtin -o $@ $<

# A finding traps: the sanitizer's own report would allocate, perhaps under our lock.
$(BUILD)/ubsan/numa_alloc.so: alloc/numa_alloc.c | $(BUILD)/
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(ALLOC_CFLAGS) $(UBSAN) -fsanitize-undefined-trap-on-error $(DEPFLAGS) \
		-o $@ $< $(ALLOC_LDFLAGS)

$(BUILD)/bench/%.o: bench/lib/%.c | $(BUILD)/
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(CFLAGS) $(DEPFLAGS) -c -o $@ $<

$(BUILD)/libbench.a: $(BENCH_LIB_C:bench/lib/%.c=$(BUILD)/bench/%.o)
	@rm -f $@
	$(AR) rcs $@ $^

# Prints pid and pages of a plain malloc: built as its user would, from libc alone.
bench/benchmark: bench/benchmark.c | $(BUILD)/
	$(CC) $(STD) $(WARNINGS) $(CFLAGS) $(DEPFLAGS) -o $@ $<

$(BUILD)/alloc_workloads/%.o: bench/alloc_workloads/%.c | $(BUILD)/
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(CFLAGS) -O3 -fno-builtin-malloc -fno-builtin-free -fno-builtin-realloc \
		$(DEPFLAGS) -Ibench/lib -c -o $@ $<

# Without the libraries that only the other benchmarks' parts of libbench.a call: they allocate at start.
bench/allocs: bench/allocs.c $(WORKLOADS_C:bench/alloc_workloads/%.c=$(BUILD)/alloc_workloads/%.o) \
		$(BUILD)/libbench.a | $(BUILD)/
	$(CC) $(STD) $(WARNINGS) $(CFLAGS) $(DEPFLAGS) -Ibench/lib -o $@ $(filter-out %.h,$^) \
		-Wl,--as-needed $(BENCH_LIBS)

bench/%: bench/%.c $(BUILD)/libbench.a | $(BUILD)/
	$(CC) $(STD) $(WARNINGS) $(CFLAGS) -O3 $(DEPFLAGS) -Ibench/lib -o $@ $< $(BUILD)/libbench.a $(BENCH_LIBS)

$(BUILD)/tests/alloc/%: tests/alloc/%.c | $(BUILD)/
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) -O1 -g -fno-builtin $(DEPFLAGS) -o $@ $< -lcmocka -pthread

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libbench.a | $(BUILD)/
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) -O1 -g -DNA_DEBUG=1 $(DEPFLAGS) -I. -o $@ $< $(BUILD)/libbench.a -lcmocka $(BENCH_LIBS)

# A latency whose rings are cut, for tests.
$(BUILD)/tests/latency_cut: bench/latency.c tests/cli/plant_cut_ring.c $(BUILD)/libbench.a | $(BUILD)/
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(CFLAGS) -Ibench/lib -I. -o $@ $^ -Wl,--wrap=ring_lay $(BENCH_LIBS)

# A kernel that refuses placement, for tests.
$(BUILD)/tests/refuse: tests/cli/refuse.c | $(BUILD)/
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(CFLAGS) $(DEPFLAGS) -o $@ $<

# Random operations against a model, and a library that goes wrong for it to find.
TORTURE_C := $(filter-out tests/torture/plant.c,$(wildcard tests/torture/*.c))

$(BUILD)/tests/torture: $(TORTURE_C) $(wildcard tests/torture/*.h) alloc/numa_alloc.h
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(CFLAGS) -fno-builtin -o $@ $(TORTURE_C) -pthread

$(BUILD)/tests/plant.so: tests/torture/plant.c
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(CFLAGS) -fno-builtin -fPIC -shared -o $@ $<

# Misuse of malloc, a kind a process. libstdc++ for operator delete where the allocator has none.
$(BUILD)/tests/misuse: $(wildcard tests/misuse/*.[ch])
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) -O1 -g -fno-builtin -o $@ $(filter %.c,$^) -pthread -Wl,--no-as-needed -lstdc++

# The torture with the allocator as functions of its own (torture_malloc, ...) under ThreadSanitizer, whose
# run-time owns malloc.
TSAN := -O1 -g -fno-builtin -fsanitize=thread -DNA_DEBUG=1

$(BUILD)/tsan/plain.o: alloc/numa_alloc.c | $(BUILD)/
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(TSAN) -fPIE $(DEPFLAGS) -c -o $@ $<

# Letters between threads without any order in memory: a race for ThreadSanitizer to find.
$(BUILD)/tsan_planted/plain.o: $(wildcard alloc/*.[ch]) | $(BUILD)/
	@mkdir -p $(@D)/alloc && cp alloc/*.[ch] $(@D)/alloc/
	sed -i -E 's/memory_order_(acquire|release|acq_rel)/memory_order_relaxed/' $(@D)/alloc/mail.c
	$(CC) $(STD) $(WARNINGS) $(TSAN) -fPIE -c -o $@ $(@D)/alloc/numa_alloc.c

%/renamed.o: %/plain.o
	nm --defined-only --extern-only $< | awk '{ print $$3, "torture_" $$3 }' >$@.names
	objcopy --redefine-syms=$@.names $< $@

$(BUILD)/tsan/torture $(BUILD)/tsan_planted/torture: $(BUILD)/%/torture: $(BUILD)/%/renamed.o $(TORTURE_C) \
		$(wildcard tests/torture/*.h)
	$(CC) $(STD) $(WARNINGS) $(TSAN) -DTORTURE_RENAMED -o $@ $(TORTURE_C) $< -pthread

# Fuzz targets: with libFuzzer, and (make check) with a main that replays and mutates what is kept.
# The allocator's own does without AddressSanitizer, whose run-time wants to be malloc.
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_C       := $(filter-out tests/torture/torture.c,$(TORTURE_C))
SANITIZE     := -O1 -g -fno-omit-frame-pointer -fsanitize=undefined -fno-sanitize-recover=all
FUZZING      := clang $(STD) $(SANITIZE) -fsanitize=fuzzer-no-link
REPLAYING    := $(CC) $(STD) $(WARNINGS) $(SANITIZE)

# $(1): folder, $(2): compiler with options, $(3): where main is.
define FUZZ_RULES
$(BUILD)/$(1)/bench/%.o: bench/lib/%.c
	@mkdir -p $$(@D)
	$(2) -fsanitize=address -MMD -MP -c -o $$@ $$<

$(BUILD)/$(1)/libbench.a: $(BENCH_LIB_C:bench/lib/%.c=$(BUILD)/$(1)/bench/%.o)
	@rm -f $$@
	$$(AR) rcs $$@ $$^

$(BUILD)/$(1)/plain.o: alloc/numa_alloc.c
	@mkdir -p $$(@D)
	$(2) -DNA_DEBUG=1 -fno-builtin -fPIE -MMD -MP -c -o $$@ $$<

$(BUILD)/$(1)/fuzz_operations: tests/fuzz/fuzz_operations.c $(FUZZ_C) $(BUILD)/$(1)/renamed.o
	$(2) -fno-builtin -DTORTURE_RENAMED -I. -MMD -MP -o $$@ tests/fuzz/fuzz_operations.c $(FUZZ_C) $(BUILD)/$(1)/renamed.o $(3) -pthread

$(BUILD)/$(1)/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/fuzz.c $(BUILD)/$(1)/libbench.a
	$(2) -fsanitize=address -I. -MMD -MP -o $$@ tests/fuzz/fuzz_$$*.c tests/fuzz/fuzz.c $(3) $(BUILD)/$(1)/libbench.a $(BENCH_LIBS)
endef

$(eval $(call FUZZ_RULES,fuzz,$(FUZZING),-fsanitize=fuzzer))
$(eval $(call FUZZ_RULES,replay,$(REPLAYING),tests/fuzz/replay.c))

# Fails the system calls of the library as released, from outside.
INJECTION := $(addprefix $(BUILD)/tests/injection/,inject workload)

$(BUILD)/tests/injection/inject: $(addprefix tests/injection/,inject.c supervise.c sites.c)
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) -O1 -g $(DEPFLAGS) -I. -o $@ $^

$(BUILD)/tests/injection/workload: tests/injection/workload.c
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) -O1 -g -fno-builtin $(DEPFLAGS) -I. -o $@ $< -pthread

TORTURE := $(addprefix $(BUILD)/tests/,torture plant.so refuse) $(BUILD)/ubsan/numa_alloc.so

# The same unit tests with everything they include, and the benchmarks' library, under UBSan.
$(BUILD)/ubsan/unit/%: tests/unit/%.c $(BENCH_LIB_C) | $(BUILD)/
	@mkdir -p $(@D)
	$(CC) $(STD) $(WARNINGS) $(UBSAN) -I. -MMD -MP -MF $@.d -o $@ $< $(BENCH_LIB_C) -lcmocka $(BENCH_LIBS)

check: all $(TEST_BINS) $(BUILD)/tests/misuse $(BUILD)/tests/latency_cut $(TORTURE) $(INJECTION) $(FUZZ_TARGETS:%=$(BUILD)/replay/%) ## Run every test that needs no virtual machine
	tests/run.sh

SECONDS ?= 60
check-torture: all $(TORTURE) ## Random operations against a model under every mode, for SECONDS=60
	tests/torture/run.sh $(SECONDS)

.PHONY: check-torture-lab check-valgrind
check-torture-lab: all $(TORTURE) ## The same on three nodes and with reserved huge pages, in the lab, for SECONDS=60
	tests/torture/lab.sh $(SECONDS)

check-tsan: $(BUILD)/tsan/torture $(BUILD)/tsan_planted/torture ## The torture under ThreadSanitizer, SECONDS=60 in turns under eleven modes
	tests/torture/tsan.sh $(SECONDS)

check-injection: all $(INJECTION) ## Every system call of the allocator fails in turn, with every errno; prints a table
	$(BUILD)/tests/injection/inject

coverage: ## Lines of alloc/ that its tests run, by file; at least 90 % (harness/setup.sh torture)
	tests/coverage/run.sh

check-programs: all ## Other people's programs do the same under every policy as without the library (setup.sh programs)
	/usr/bin/python3 tests/programs/check.py

misuse-table: all $(BUILD)/tests/misuse ## What allocators do about misuse, a Markdown table (PEERS=name=path.so,...)
	@/usr/bin/python3 tests/misuse/table.py

check-programs-lab: all ## The same under the policies of two nodes, in the lab, lighter (setup.sh programs vm)
	tests/lab/programs.sh

fuzz: $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%) ## Fuzz operations and parsers with libFuzzer, SECONDS=60 in all (harness/setup.sh torture)
	tests/fuzz/run.sh $(SECONDS)

check-valgrind: $(addprefix $(BUILD)/memcheck/,numa_alloc.so misuse) $(BUILD)/tests/torture ## memcheck finds mistakes in blocks of the annotated build (harness/setup.sh torture)
	tests/memcheck/check.sh

check-fleet: all ## A fleet of three machines of the lab over ssh: one slower, one lost and resumed
	tests/lab/fleet.sh

check-slurm: all ## A sweep under Slurm's own daemons on loopback (harness/setup.sh slurm)
	tests/slurm/check.sh

check-kill: all ## Kill a sweep at 50 random moments, resume it, and compare with its plan
	/usr/bin/python3 tests/sweep/kill_and_resume.py .

check-page: ## Look at report.html in a real browser; screenshots in build/page (harness/setup.sh browser)
	/usr/bin/python3 -m pytest -q -rs -p no:cacheprovider tests/page

check-vm: all $(BUILD)/tests/refuse ## A short choice of check-lab: placement and ground truth on two nodes
	tests/lab/check.sh --quick

check-lab: all $(BUILD)/tests/refuse ## Ground truth on every topology of the lab: discovery, placement, figures, misleading states
	tests/lab/check.sh

check-lab-kernels: all $(BUILD)/tests/refuse ## Every policy at full size on two and three nodes, Linux 6.1 and 6.12
	tests/lab/check.sh --kernels

TOPOLOGY ?= 2-socket
lab: all ## A shell in a virtual machine of several memory nodes (TOPOLOGY=2-socket)
	harness/lab.sh --topology $(TOPOLOGY)

lab-locality: all ## Count remote line fetches under every allocator in the lab; prints a table
	tests/lab/locality.sh

bench-alloc: all ## Compare allocators: bench/allocs and real programs under each, in turns (PEERS=name=path.so,...)
	/usr/bin/python3 bench/bench_alloc.py

lint: ## Warnings of gcc and clang, shellcheck, clang-format and Python checks
	@for compiler in gcc clang; do echo "$$compiler: warnings"; \
		$$compiler $(STD) $(WARNINGS) -Werror -fsyntax-only -I. -Ibench/lib $(TUS) || exit 1; done
	@echo shellcheck; shellcheck $(SHELL_FILES)
	@echo clang-format; clang-format --dry-run -Werror $(C_FILES)
	tests/lint_python.sh

format: ## Rewrite the C files in the project's format
	clang-format -i $(C_FILES)

clean: ## Remove what was built (results/ stays)
	rm -rf $(BUILD) alloc/numa_alloc.so alloc/libnuma_alloc.a alloc/numa_run harness/run_cell $(BENCH_PROGS)
	find . -name __pycache__ -prune -exec rm -rf {} +

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(wildcard $(BUILD)/*.d $(BUILD)/ubsan/unit/*.d $(BUILD)/fuzz/*.d $(BUILD)/fuzz/bench/*.d $(BUILD)/replay/*.d $(BUILD)/replay/bench/*.d)
