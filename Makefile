# SPDX-License-Identifier: ISC
# The llm tools.  The link lines are the architecture: a program links its own layer and those below.
#
#	make				build, into bin/ (nothing is installed; what is missing is named)
#	make demo			install what is missing, build, fetch the small model, show the work
#	make check			the same, and run all tests; make lint: only what looks at the sources
#	make check-oracle		the tests that compare with independent Python packages
#	make asan, make clang		everything again under ASan and UBSan, or built by clang
#	make tsan			what threads and clients share again under ThreadSanitizer
#	make CC=aarch64-linux-gnu-gcc BUILD=build/arm64 BINDIR=build/arm64/bin
#					for 64-bit ARM, elsewhere: the packages of kind build, each with :arm64
#	make install uninstall		PREFIX=/usr/local DESTDIR=
#	make bench			the table of targets and what is reached; bench-peer: llama.cpp beside
#	make deps, fuzz, clean, distclean (what was fetched goes too)
CC	= gcc
BUILD	= build
BINDIR	= bin
PREFIX	= /usr/local
OPT	= -O2 -g
WARN	= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Werror
CFLAGS	= -std=c11 -D_POSIX_C_SOURCE=200809L $(OPT) $(WARN) -ffp-contract=off -fno-strict-aliasing \
	  -pthread -I. $(SAN)
LDFLAGS	= -pthread $(SAN)
MAKEFLAGS += --no-print-directory

MACHINE	:= $(shell $(CC) -dumpmachine 2>/dev/null)
CORE_C	:= $(wildcard libcore/*.c libcore/kernels/*.c libcore/kernels/generic/*.c) \
	   $(if $(filter x86_64%,$(MACHINE)),$(wildcard libcore/kernels/x86/*/*.c)) \
	   $(if $(filter aarch64%,$(MACHINE)),$(wildcard libcore/kernels/arm/*/*.c))
TOK_C	:= $(wildcard tokenize/*.c)
GEN_C	:= $(wildcard generate/*.c)
EMBED_C	:= $(wildcard embed/*.c)
KVSTORE_C := $(wildcard kvstore/*.c)
TOOL_C	:= $(wildcard bin/tool*.c)
WRAPPERS := $(notdir $(wildcard $(addprefix bin/,llm-model llm-summarize llm-commit)))
PROGRAMS := $(patsubst bin/%.c,%,$(wildcard bin/llm-*.c bin/llmctl.c))
DAEMON_C := $(wildcard bin/daemon/*.c)
DAEMON	:= $(if $(DAEMON_C),llmd)
UNIT_C	:= $(wildcard tests/core-*.c tests/tokenize-*.c tests/generate-*.c tests/embed-*.c tests/kvstore-*.c)
UNITS	:= $(patsubst tests/%.c,%,$(UNIT_C))
MAKER_C	:= $(filter-out $(wildcard tests/mk*_*.c),$(wildcard tests/mk*.c))
SUPPORT_C := $(filter-out $(UNIT_C) $(MAKER_C),$(wildcard tests/*.c))
BENCHES	:= $(patsubst tests/%.c,%,$(wildcard tests/bench/*.c))
FUZZERS	:= $(patsubst tests/%.c,%,$(wildcard tests/fuzz/*.c))

obj	= $(patsubst %.c,$(BUILD)/%.o,$(1))
CORE	= $(BUILD)/libcore.a
TOKENIZE = $(BUILD)/tokenize.a $(CORE)
GENERATE = $(BUILD)/generate.a $(TOKENIZE)
EMBED	= $(BUILD)/embed.a $(TOKENIZE)
KVSTORE	= $(BUILD)/kvstore.a $(CORE)
TOOL	= $(BUILD)/bin/tool.a
SUPPORT	= $(BUILD)/tests/support.a
LIBS	= -ljansson -lutf8proc -lxxhash -lmsgpackc -lm
TEST_LIBS = $(LIBS)
BLAS	= -lopenblas

BUILT	= $(addprefix $(BINDIR)/,$(PROGRAMS) $(DAEMON) $(if $(filter-out bin,$(BINDIR)),$(WRAPPERS)))

all: $(BUILT)

$(BUILD)/libcore.a: $(call obj,$(CORE_C))
$(BUILD)/tokenize.a: $(call obj,$(TOK_C))
$(BUILD)/generate.a: $(call obj,$(GEN_C))
$(BUILD)/embed.a: $(call obj,$(EMBED_C))
$(BUILD)/kvstore.a: $(call obj,$(KVSTORE_C))
$(BUILD)/bin/tool.a: $(call obj,$(TOOL_C))
$(BUILD)/tests/support.a: $(call obj,$(SUPPORT_C))
$(BUILD)/%.a: $(BUILD)/.sources
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $(filter %.o,$^)

# Kernels want every loop unrolled, but for sanitizers, under which that takes minutes to compile; and to
# follow each of their variables for a debugger would take five times the rest.  They know no threads.
FAST	= $(if $(SAN),-O1,-O3) -g1 $(if $(findstring thread,$(SAN)),-fno-sanitize=thread)
$(BUILD)/libcore/kernels/x86/avx2/%.o: ISA = -mavx2 -mfma -mf16c $(FAST)
$(BUILD)/libcore/kernels/x86/avxvnni/%.o: ISA = -mavx2 -mfma -mf16c -mavxvnni $(FAST)
AVX512	= -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mfma -mf16c
$(BUILD)/libcore/kernels/x86/avx512/%.o: ISA = $(AVX512) $(FAST)
$(BUILD)/libcore/kernels/x86/amx/%.o: ISA = $(AVX512) -mamx-tile -mamx-int8 $(FAST)
$(BUILD)/libcore/kernels/arm/neon/%.o: ISA = $(FAST)
$(BUILD)/libcore/kernels/arm/dotprod/%.o: ISA = -march=armv8.2-a+dotprod $(FAST)
$(BUILD)/libcore/kernels/generic/%.o: ISA = $(FAST)
# gcc 12 for ARM dies of a loop in it.
$(BUILD)/tests/core-vector.o: ISA = $(if $(filter aarch64%,$(MACHINE)),-fno-tree-vectorize)
$(BUILD)/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(ISA) -MMD -MP -c -o $@ $<

# Sources of one program alone are named after it: bin/chat_*.c are llm-chat's, bin/ctl_*.c llmctl's.
own	= $(call obj,$(wildcard bin/$(patsubst llm%,%,$(patsubst llm-%,%,$(1)))_*.c))
$(foreach p,$(PROGRAMS),$(eval $(BINDIR)/$(p): $(call own,$(p))))
$(addprefix $(BINDIR)/,$(PROGRAMS)): $(BINDIR)/%: $(BUILD)/bin/%.o $(TOOL) $(BUILD)/embed.a $(BUILD)/kvstore.a $(GENERATE)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(if $(filter llm-chat,$(@F)),-ledit) $(if $(filter llm-search,$(@F)),$(BLAS)) $(LIBS)
$(BINDIR)/llmd: $(call obj,$(DAEMON_C)) $(TOOL) $(BUILD)/embed.a $(BUILD)/kvstore.a $(GENERATE)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) -luv $(LIBS)
ifneq ($(BINDIR),bin)
$(addprefix $(BINDIR)/,$(WRAPPERS)): $(BINDIR)/%: bin/%
	@mkdir -p $(@D)
	$(Q)cp $< $@
endif

$(BUILD)/tests/core-%: $(BUILD)/tests/core-%.o $(SUPPORT) $(CORE)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)
$(BUILD)/tests/tokenize-%: $(BUILD)/tests/tokenize-%.o $(SUPPORT) $(TOKENIZE)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)
$(BUILD)/tests/generate-%: $(BUILD)/tests/generate-%.o $(SUPPORT) $(GENERATE)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)
$(BUILD)/tests/kvstore-%: $(BUILD)/tests/kvstore-%.o $(SUPPORT) $(KVSTORE)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)
$(BUILD)/tests/embed-%: $(BUILD)/tests/embed-%.o $(SUPPORT) $(EMBED)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS) $(BLAS)
$(BUILD)/tests/bench/search: $(BUILD)/tests/bench/search.o $(EMBED)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS) $(BLAS)
$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(SUPPORT) $(GENERATE)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

# Programs that make what tests read (models, broken files).
$(BUILD)/tests/mk%: $(BUILD)/tests/mk%.o $(SUPPORT) $(GENERATE)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(TEST_LIBS)

UNIT_FILES = $(addprefix $(BUILD)/tests/,$(UNITS))
units: $(UNIT_FILES) $(patsubst %.c,$(BUILD)/%,$(MAKER_C))

# Objects are made anew when the flags change, archives when the list of sources does.
remember = $(shell mkdir -p $(@D); echo '$(1)' | cmp -s - $@ || echo '$(1)' >$@)
$(BUILD)/.flags: FORCE
	@: $(call remember,$(CC) $(CFLAGS))
$(BUILD)/.sources: FORCE
	@: $(call remember,$(CORE_C) $(TOK_C) $(GEN_C) $(EMBED_C) $(KVSTORE_C) $(TOOL_C) $(SUPPORT_C))

# Plain make installs nothing; what is missing is named before the compiler stumbles over it.
ifeq ($(filter-out all,$(or $(MAKECMDGOALS),all)),)
MISSING := $(shell CC='$(CC)' .ci/deps missing build 2>&1)
ifneq ($(MISSING),)
$(error $(MISSING))
endif
endif

deps:
	@.ci/deps install build test fetch lint oracle

# As many jobs as there are cores, unless the caller has chosen.
BUILD_ALL = $(MAKE) Q=@ $(if $(findstring j,$(firstword -$(MAKEFLAGS))),,-j$(shell nproc 2>/dev/null || echo 2))
DATA	= $(or $(XDG_DATA_HOME),$(HOME)/.local/share)
# The tests' own copy of the small model, plain; one in the store of the user serves where there is one.
STORE	= env XDG_DATA_HOME='$(CURDIR)/.cache' XDG_DATA_DIRS='$(DATA)' $(BINDIR)/llm-model
TESTS	= $(wildcard tests/[0-9]*.t)
LOOKS	= $(wildcard tests/8[0-9]-*.t)
RUN	= LLM_TEST_BIN='$(CURDIR)/$(BINDIR)' LLM_TEST_BUILD='$(CURDIR)/$(BUILD)' \
	  LLM_TEST_MODEL="$${LLM_TEST_MODEL-$$($(STORE) path smollm2 2>/dev/null)}" \
	  LLM_TEST_ENCODER="$${LLM_TEST_ENCODER-$$($(STORE) path minilm 2>/dev/null)}"

model:
	@[ -n "$${LLM_TEST_MODEL+set}" ] || $(STORE) get --plain smollm2 >/dev/null || :
	@[ -n "$${LLM_TEST_ENCODER+set}" ] || $(STORE) get minilm >/dev/null || :

check:
	@.ci/deps install build test -- fetch lint
	@$(BUILD_ALL) all units
	@$(MAKE) model
	@$(RUN) tests/run $(UNIT_FILES) $(TESTS)

lint:
	@$(RUN) tests/run $(LOOKS)

# The same tests in another build (JOBS: several at once, where no time is measured); what only looks
# at the sources need not look twice.
again:
	@$(BUILD_ALL) all units
	@$(MAKE) model
	@$(RUN) tests/run $(JOBS) $(UNIT_FILES) $(filter-out $(LOOKS),$(TESTS))

asan:
	@.ci/deps install build test -- fetch
	@LLM_TEST_ASAN=1 LLM_TEST_QUICK=1 LLM_TEST_TIMEOUT=1800 ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
	$(MAKE) again JOBS='-j 2' BUILD=build/asan BINDIR=build/asan/bin OPT='-O1 -g -fno-omit-frame-pointer' \
	SAN='-fsanitize=address,undefined -fno-sanitize-recover=undefined'

# The daemon among its clients, its scheduler, the threads of a pass.  Whatever is found fails it, in programs too
# whose standard error nobody reads.
TSAN_UNITS = core-pool core-crew $(filter core-client% generate-scheduler% kvstore-resident%,$(UNITS))
tsan:
	@.ci/deps install build test -- fetch
	@mkdir -p build/tsan && rm -f build/tsan/found.*
	@LLM_TEST_ASAN=1 LLM_TEST_QUICK=1 LLM_TEST_TIMEOUT=1800 TSAN_OPTIONS='log_path=$(CURDIR)/build/tsan/found' \
	$(MAKE) again JOBS='-j 2' BUILD=build/tsan BINDIR=build/tsan/bin OPT='-O1 -g -fno-omit-frame-pointer' \
	SAN=-fsanitize=thread UNITS='$(TSAN_UNITS)' TESTS='$(wildcard tests/54-*.t tests/56-*.t tests/57-*.t tests/58-*.t)'; \
	rc=$$?; ! cat build/tsan/found.* 2>/dev/null && exit $$rc

clang:
	@CC=clang .ci/deps install build test -- fetch
	@$(MAKE) again CC=clang BUILD=build/clang BINDIR=build/clang/bin

check-oracle: .cache/venv/.done
	@.ci/deps install build test -- fetch
	@$(BUILD_ALL) all units
	@$(MAKE) model
	@$(RUN) LLM_TEST_PYTHON='$(CURDIR)/.cache/venv/bin/python' tests/run $(wildcard tests/oracle-*.py)

.cache/venv/.done: tests/oracle.txt
	@.ci/deps install fetch oracle
	@mkdir -p .cache && rm -rf .cache/venv && python3 -m venv .cache/venv
	@.cache/venv/bin/python -m pip install -q --disable-pip-version-check --retries 1 -r tests/oracle.txt || \
	{ echo 'cannot fetch the packages of tests/oracle.txt: with their wheels in a folder set PIP_FIND_LINKS=FOLDER PIP_NO_INDEX=1' >&2; exit 1; }
	@touch $@

demo:
	@.ci/deps install build -- fetch
	@$(BUILD_ALL) all
	@bin/share/demo

# The table of targets: PARTS of it, all unless told (tests/bench/targets.tsv names them).  bench-peer adds
# llama.cpp; bench-rates prints what the benches of single layers measure.
BENCH_FILES = $(addprefix $(BUILD)/tests/,$(BENCHES))
PARTS	=
bench bench-peer bench-rates: all $(BENCH_FILES) $(BUILD)/tests/mkgguf
	@$(MAKE) model
	@LLM_TEST_SHARED="$$(cd ../shared/data 2>/dev/null && pwd)" $(RUN) $(if $(filter %-peer,$@),PEER=install) \
	$(if $(filter %-rates,$@),sh -c 'for b; do $$b || exit; done' - $(filter-out %/spent,$(BENCH_FILES)),tests/bench/targets $(PARTS))

# Each fuzz target for a minute, from what the tree keeps for it in tests/fuzz/corpus, else from the broken models that
# the tests make; what it finds besides stays in its corpus in $(BUILD).
FUZZ_SECONDS = 60
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(SUPPORT) $(BUILD)/embed.a $(GENERATE)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(TEST_LIBS)

fuzz:
	@.ci/deps install build test lint fuzz
	@$(MAKE) fuzz-run CC=clang BUILD=build/fuzz BINDIR=build/fuzz/bin OPT='-O1 -g' \
	SAN='-fsanitize=fuzzer-no-link,address,undefined'

fuzz-run: $(addprefix $(BUILD)/tests/,$(FUZZERS)) $(BUILD)/tests/mkbroken
	@for f in $(notdir $(FUZZERS)); do \
	corpus=$(BUILD)/corpus/$$f; mkdir -p $$corpus && \
	if [ -d tests/fuzz/corpus/$$f ]; then cp tests/fuzz/corpus/$$f/* $$corpus; \
	else $(BUILD)/tests/mkbroken $$corpus >/dev/null; fi && \
	$(BUILD)/tests/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -max_len=131072 -artifact_prefix=$(BUILD)/ $$corpus || exit; done

SHARE	= $(DESTDIR)$(PREFIX)/share
UNITS_DIR = $(DESTDIR)$(PREFIX)/lib/systemd/user
INSTALLED = $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(PROGRAMS) $(DAEMON) $(WRAPPERS)) \
	  $(addprefix $(SHARE)/man/man1/,$(notdir $(wildcard man/*.1))) \
	  $(addprefix $(SHARE)/man/man5/,$(notdir $(wildcard man/*.5))) \
	  $(addprefix $(SHARE)/man/man7/,$(notdir $(wildcard man/*.7))) \
	  $(addprefix $(SHARE)/man/man8/,$(notdir $(wildcard man/*.8))) \
	  $(addprefix $(SHARE)/bash-completion/completions/,$(PROGRAMS) $(DAEMON) $(WRAPPERS)) \
	  $(UNITS_DIR)/llmd.service $(UNITS_DIR)/llmd.socket

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(addprefix $(SHARE)/man/man,1 5 7 8) $(SHARE)/bash-completion/completions $(UNITS_DIR)
	install -m 755 $(addprefix $(BINDIR)/,$(PROGRAMS) $(DAEMON) $(WRAPPERS)) $(DESTDIR)$(PREFIX)/bin
	install -m 644 man/*.1 $(SHARE)/man/man1
	install -m 644 man/*.5 $(SHARE)/man/man5
	install -m 644 man/*.7 $(SHARE)/man/man7
	install -m 644 man/*.8 $(SHARE)/man/man8
	sed 's|/usr/local/bin|$(PREFIX)/bin|' bin/share/llmd.service >$(UNITS_DIR)/llmd.service
	chmod 644 $(UNITS_DIR)/llmd.service
	install -m 644 bin/share/llmd.socket $(UNITS_DIR)
	for p in $(PROGRAMS) $(DAEMON) $(WRAPPERS); do \
	install -m 644 bin/share/llm.bash $(SHARE)/bash-completion/completions/$$p || exit; done

uninstall:
	rm -f $(INSTALLED)

clean:
	rm -rf $(BUILD) $(addprefix bin/,$(PROGRAMS) $(DAEMON))

distclean: clean
	rm -rf .cache

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
FORCE:
.PHONY: all units deps model check lint again asan tsan clang check-oracle demo bench bench-peer bench-rates fuzz fuzz-run install uninstall clean distclean FORCE
.SECONDARY:
