# The Invisible Janitor. What "make help" says:
#
#: make deps GOAL...  install what the goals need, then make them
#: make book          both volumes: build/book.pdf, workshop.pdf
#: make page CH=3     chapter 3 alone, in seconds: build/ch03.pdf
#: make html          the book for a browser: build/html/index.html
#: make epub          the book for a reading device: build/book.epub
#: make site          all editions and the code, to be served
#: make test-html     try the pages in a browser, and compare editions
#: make test          build and test the program of every chapter
#: make check         run every gate (minutes)
#: make ch03          build the program of chapter 3 and test it
#: make run-ch03      run the demonstration of chapter 3
#: make diff-ch03     show what chapter 3 changes in the program
#: make exercises     lay out the exercises, in exercises/
#: make exercise      grade the current one: EX=2.8, EX=2, EX=all;
#:                    or give a hint: HINT=1
#: make debug EX=2.8  gdb, where it fails; make debug ch03: a chapter
#: make reset EX=2.8  begin one again; the old text is kept
#: make progress      say what has passed, and what is next; CH=2
#: make watch         take the screen, and grade what is saved
#: make puzzle CH=3   who survives? with SEED=42, OUT=heap.pdf
#: make sheet CH=4    N=10 of them on paper, with answers
#: make oracle        compare with CPython: SEED, OPS, SEEDS, ORDER=list
#: make bench         time it beside CPython, Lua and others
#: make live          heaps to touch in a browser, in build/live/
#: make test-live     try them in one, by hand and by key
#: make measure       ask the clock again, for figures/measured/
#: make tangle        write code/ and tests/ from the chapters
#: make accept        let what is printed differently be right
#: make clean         remove build/; exercises/ stays
#
# A run of make sees one of the three parts of this file:
#   deps among the goals  install what the others need; start over
#   STAGE=ch02            build and try one stage of the program
#   anything else         the goals of "make help"

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
ifndef V
.SILENT:
endif
export LC_ALL := C.UTF-8

press    := build/press
# Appendix E, whose tests are for the finished program, is the last.
chapters := $(sort $(wildcard chapters/[0-9]*.nw)) \
            $(wildcard chapters/E-*.nw)
number   = $(firstword $(subst -, ,$(notdir $1)))
stages   := $(foreach c,$(chapters),ch$(call number,$c))
last     := $(lastword $(stages))
puzzled  := ch09# whose free lists are the last to be asked about

# ---- what the goals need: tool, or tool:package ------------------

for_code  := gcc make notangle:noweb gawk diff:diffutils \
             stdlib.h:libc6-dev cmocka.h:libcmocka-dev
for_book  := pandoc lualatex:texlive-luatex lmodern.sty:lmodern \
             scrbook.cls:texlive-latex-recommended \
             tikz.sty:texlive-pictures latexmk dot:graphviz \
             gnuplot:gnuplot-nox \
             LinLibertine_R.otf:fonts-linuxlibertine \
             JetBrainsMono-Regular.ttf:fonts-jetbrains-mono \
             pdftotext:poppler-utils \
             hyph_en_GB.dic:hyphen-en-gb \
             objgraph.py:python3-objgraph \
             memory_profiler.py:python3-memory-profiler
clang_is  := $(or $(shell clang -dumpversion 2>&- | cut -d. -f1),14)
for_live  := clang wasm-ld:lld libc.a:wasi-libc node:nodejs npm \
             libclang_rt.builtins-wasm32.a:libclang-rt-$(clang_is)-dev-wasm32
for_screen := $(filter-out lualatex:% lmodern.% scrbook.% tikz.% \
             latexmk pdftotext:% hyph_%,$(for_book)) \
             node:nodejs npm pyftsubset:fonttools \
             brotli.py:python3-brotli rsvg-convert:librsvg2-bin \
             zip unzip npm/minisearch npm/axe-core npm/playwright-core \
             npm/@dagrejs/dagre
for_browser := chromium epubcheck $(for_book)
for_check := clang valgrind python3 g++ tmux $(for_live)
# What check-ports would like; it goes on without.
for_ports := gnu/stubs-32.h:gcc-12-multilib musl-gcc:musl-tools \
             qemu-s390x:qemu-user \
             s390x-linux-gnu-gcc-12:gcc-12-s390x-linux-gnu \
             /usr/s390x-linux-gnu/include/stdlib.h:libc6-dev-s390x-cross
for_oracle := python3.11/Python.h:python3-dev
for_watch := curses.h:libncurses-dev

goals := $(or $(MAKECMDGOALS),help)
needs := $(if $(filter-out deps help clean,$(goals)),$(for_code)) \
         $(if $(filter debug,$(goals)),gdb) \
         $(if $(filter book page sheet check check-book check-printed,\
             $(goals)),$(for_book)) \
         $(if $(filter live test-live,$(goals)),$(for_live)) \
         $(if $(filter html epub site test-html test-live,$(goals)),\
             $(for_screen) $(for_live)) \
         $(if $(filter site,$(goals)),$(for_book)) \
         $(if $(filter test-html test-live,$(goals)),$(for_browser)) \
         $(if $(filter watch check check-watch,$(goals)),\
             $(for_watch)) \
         $(if $(filter check check-%,$(goals)),$(for_check)) \
         $(if $(filter check %oracle,$(goals)),\
             $(for_oracle))
ifneq (,$(filter deps,$(goals)))
needs += $(if $(filter check-ports,$(goals)),$(for_ports))
endif
ifeq ($(goals),deps)
needs := $(for_code) $(for_book) $(for_check) $(for_oracle) \
         $(for_watch) $(for_screen) $(for_browser)
endif

fonts := /usr/share/fonts /usr/local/share/fonts \
         $(HOME)/.local/share/fonts

# Prints what is needed and not there.
define find_missing
for need in $(needs); do tool=$${need%%:*}; \
    case $$tool in \
    *.h) echo "#include <$$tool>" | gcc -E -x c - ;; \
    *.sty|*.cls) kpsewhich $$tool ;; \
    *.py) /usr/bin/python3 -c "import $${tool%.py}" ;; \
    *.a) find /usr/lib/llvm-* /usr/lib/wasm32-wasi -name $$tool | \
        grep . ;; \
    *.dic) find /usr/share/hyphen -name $$tool | grep . ;; \
    *.otf|*.ttf) find -L $(fonts) -name $$tool | grep . ;; \
    npm/*) test -e build/npm/node_modules/$${tool#npm/} ;; \
    *) command -v $$tool ;; \
    esac > /dev/null 2>&1 || echo $$need; \
done
endef
ifndef STAGE
missing := $(if $(strip $(needs)),$(shell $(find_missing)))
endif
tools    := $(foreach m,$(missing),$(firstword $(subst :, ,$m)))
packages := $(sort $(foreach m,$(filter-out npm/%,$(missing)),\
             $(lastword $(subst :, ,$m))))

# ---- deps --------------------------------------------------------

ifneq (,$(filter deps,$(goals)))
rest := $(filter-out deps,$(goals))
sudo := $(if $(filter-out 0,$(shell id -u)),sudo)
apt  := $(sudo) env DEBIAN_FRONTEND=noninteractive apt-get
install := install --no-install-recommends

.PHONY: deps $(rest)
deps:
ifneq (,$(packages))
	for tool in $(sudo) apt-get; do \
	    command -v $$tool > /dev/null || { \
	        echo "no $$tool here; please install these packages," \
	            "or what they are called there: $(packages)" >&2; \
	        exit 1; }; \
	done
	echo 'Going to install: $(packages)'
	$(apt) -qq update
	$(apt) --assume-no $(install) $(packages) | \
	    grep -e 'Need to get' -e 'disk space' || true
	$(apt) -qq -y $(install) $(packages) > /dev/null
endif
ifneq (,$(filter npm/%,$(missing)))
	mkdir -p build/npm
	cp .ci/npm/*.json build/npm
	cd build/npm && npm ci --silent --omit=optional
endif
	$(if $(rest),$(MAKE) $(rest))

$(rest): deps ; @:

# ---- one stage ---------------------------------------------------

else ifdef STAGE
VARIANT ?= plain
dir   := build/$(STAGE)
obj   := $(dir)/obj-$(VARIANT)
bin   := $(if $(filter plain,$(VARIANT)),$(dir),$(dir)/$(VARIANT))
files := $(shell cut -d' ' -f1 $(dir)/files)

WARN  := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
FLAGS.plain    := -O2 -g
FLAGS.asan     := -O1 -g -DTEST_SHRINK=100 -fno-omit-frame-pointer \
                  -fsanitize=address,undefined \
                  -fno-sanitize-recover=all
FLAGS.debug    := -Og -g3
FLAGS.check    := -O1 -g -DGC_CHECK
FLAGS.stress   := $(subst =100,=10000,$(FLAGS.asan)) -DGC_STRESS
FLAGS.memcheck := -O1 -g -DTEST_SHRINK=100
RUN.memcheck   := valgrind -q --error-exitcode=99 --leak-check=full \
                  --show-leak-kinds=all --errors-for-leak-kinds=all \
                  --fullpath-after='$(CURDIR)/'
export ASAN_OPTIONS := strip_path_prefix='$(CURDIR)/'
CFLAGS   = -std=c11 $(WARN) $(FLAGS.$(VARIANT))
INCLUDES = -I$(dir)/src/code -I$(dir)/src/tests

objects  = $(patsubst %.c,$(obj)/%.o,$1)
library := $(call objects,$(filter code/%.c,$(files)))
support := $(call objects,$(filter-out tests/test_% tests/oracle/%,\
             $(filter tests/%.c,$(files))))
tests   := $(patsubst tests/%.c,%,$(filter tests/test_%.c,$(files)))
demos   := $(patsubst $(STAGE)/%.c,%,$(filter $(STAGE)/%.c,$(files)))
archive := $(bin)/libjanitor.a

# What the tests include as cmocka.h counts their assertions.
counting := $(obj)/counting/cmocka.h $(press)/asserted.c
support  += $(obj)/tests/asserted.o
$(obj)/counting/cmocka.h: $(press)/asserted.h
	mkdir -p $(@D)
	cp $< $@
$(obj)/tests/%.o: INCLUDES += -isystem $(obj)/counting
$(call objects,$(filter tests/%.c,$(files))): $(counting)
$(obj)/tests/asserted.o: $(counting) Makefile
	mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCLUDES) -c -o $@ $(press)/asserted.c

$(dir)/programs: $(addprefix $(bin)/,$(tests) $(demos))
	echo '$(STAGE) is built'
	touch $@
$(bin)/demos: $(addprefix $(bin)/,$(demos))
	mkdir -p $(@D)
	touch $@

$(obj)/%.o: $(dir)/src/%.c Makefile
	mkdir -p $(@D)
	$(CC) $(CFLAGS) $(INCLUDES) -MMD -MP -c -o $@ $<

$(archive): $(library)
	mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

$(tests:%=$(bin)/%): $(bin)/%: $(obj)/tests/%.o $(support) $(archive)
	$(CC) $(CFLAGS) -o $@ $^ -lcmocka

$(demos:%=$(bin)/%): $(bin)/%: $(obj)/$(STAGE)/%.o $(archive)
	$(CC) $(CFLAGS) -o $@ $^

-include $(wildcard $(obj)/*/*.d)

# A program that has passed is not tried again, unless it changed or
# AGAIN is set.
logs := $(tests:%=$(obj)/%.log)
.PHONY: tests warnings FORCE
tests: $(logs)
$(logs): $(obj)/%.log: $(bin)/% $(if $(AGAIN),FORCE)
	$(if $(AGAIN),,QUIET=1) \
	    $(press)/try $< $@ $(RUN.$(VARIANT))

# Once without #line, which hides some warnings; by both compilers.
ok      := $(dir)/obj-warnings
headers := $(addprefix $(dir)/plain/,$(filter %.h,$(files)))
warned  := $(patsubst %.c,$(ok)/%.ok,$(filter-out tests/oracle/% \
             bench/%,$(filter %.c,$(files))))
warnings: $(warned)
$(warned): $(ok)/%.ok: $(dir)/plain/%.c $(headers) Makefile
	mkdir -p $(@D)
	for cc in gcc clang; do \
	    $$cc $(CFLAGS) -I$(dir)/plain/code -I$(dir)/plain/tests \
	        -c -o /dev/null $< || exit 1; \
	done
	touch $@

# ---- the goals of "make help" ------------------------------------

else
ifneq (,$(missing))
$(error $(firstword $(tools)) is missing: make deps $(goals))
endif

.PHONY: help deps book page test check tangle clean FORCE
help:
	sed -n 's/^#: //p' Makefile

clean:
	rm -rf build

# The press is tangled by plain notangle, with no help from itself.
$(press)/tangled: $(wildcard chapters/[A-Z]*.nw)
	mkdir -p $(press)
	for root in $$(notangle -R'press files' $^); do \
	    notangle -R"$$root" $^ > $(press)/.new$$$$ || exit 1; \
	    cmp -s $(press)/.new$$$$ $(press)/$$root || \
	        mv $(press)/.new$$$$ $(press)/$$root; \
	    chmod 755 $(press)/$$root; \
	done
	rm -f $(press)/.new*
	touch $@
tangling := $(addprefix $(press)/,\
              tangle stage.awk names.awk tidy.awk nearest.awk)
$(tangling): $(press)/tangled ;

# A stage needs nothing of later chapters but their chunk names.
build/chunks: $(chapters)
	mkdir -p build
	new=$@.$$$$; \
	sed -n 's/^<<\(.*\)>>=.*/\1/p' $^ | sort -u > $$new; \
	cmp -s $$new $@ && rm $$new || mv $$new $@

.SECONDEXPANSION:
upto = $(wordlist 1,$(if $(filter chE,$1),99,$(1:ch%=%)),$2)
$(stages:%=build/%/tangled): build/%/tangled: \
        $$(call upto,$$*,$(chapters)) build/chunks $(tangling)
	$(press)/tangle $*
	touch $@

$(stages:%=build/%/programs): build/%/programs: build/%/tangled FORCE
	$(MAKE) STAGE=$* $@

# The book also runs ./check/demo, which checks its library calls.
$(stages:%=build/%/check/demos): build/%/check/demos: \
        build/%/tangled FORCE
	$(MAKE) STAGE=$* VARIANT=check $@

totals = gawk -f $(press)/totals.awk \
         $$(find $1 -name 'test_*.log' -o -name 'test_*.failed' | \
            sort)

ifeq (,$(filter debug,$(goals)))
$(stages): %: build/%/programs
	$(MAKE) STAGE=$* AGAIN=1 tests
	$(call totals,build/$*/obj-plain)
else
# make debug ch03: here the name of a chapter is no more than a name.
$(stages): ;
named := $(firstword $(filter $(stages),$(goals)))
.PHONY: debug $(stages)
debug: $(if $(named),build/$(named)/tangled,build/exercises/catalogue)
	EX='$(EX)' STAGE='$(named)' \
	    PROGRAM='$(firstword $(call shown,$(named)))' \
	    $(press)/debug $(or_said)
endif

test: $(stages:%=plain-%)
	$(call totals,build/ch*/obj-plain)
$(stages:%=plain-%): plain-%: build/%/programs
	$(MAKE) STAGE=$* tests

# What run-ch03 shows, and debug ch03: PROGRAM, or the demonstration.
# One that means to fail, as in Chapter 1, may.
shown      = $(or $(PROGRAM),$(shown.$1),demo)
shown.ch08 := look hunt witness
shown.chE  := test_cpython_gc
$(stages:%=run-%): run-%: build/%/programs
	cd build/$* && for p in $(call shown,$*); do \
	    test -x $$p || { echo "$* has no program $$p, but" \
	        $(patsubst ./%,%,$$(find . -maxdepth 1 -type f -perm -1)); \
	        break; }; \
	    echo "$$ build/$*/$$p"; \
	    ./$$p || echo "($$p ended with status $$?)"; \
	done

numbered := $(filter-out chE,$(stages))
$(numbered:%=diff-%): diff-%: \
        $$(call upto,$$*,$(stages:%=build/%/tangled))
	$(press)/changes -d $*
diff-chE: ; echo 'Appendix E adds tests; the program is that of $(lastword \
    $(numbered)).'

# A verdict is no error of make's, nor is a word to the reader.
or_said := || test $$? = 1

# The exercises, of whose files the catalogue is the last made.
answers := $(wildcard chapters/A*.nw)
build/exercises/catalogue: book.md $(chapters) $(answers) \
        $(press)/tangled
	$(press)/extract

.PHONY: exercises exercise progress watch reset puzzle sheet first-time
first-time:
	test -e build/compile_commands.json || echo \
	    '(First, and once, the code of all chapters: half a minute.)'
exercises exercise progress watch reset: build/exercises/catalogue
exercises: first-time $(stages:%=build/%/tangled)
	$(press)/lay
exercise:
	EX='$(EX)' HINT='$(HINT)' ANSWER='$(ANSWER)' \
	    $(press)/choose $(or_said)
reset:     ; EX='$(EX)' $(press)/reset $(or_said)
progress:  ; CH='$(CH)' $(press)/progress $(or_said)
watch:     ; $(press)/watch
puzzle sheet: build/$(puzzled)/programs
	CH='$(CH)' SEED='$(SEED)' OUT='$(OUT)' N='$(N)' \
	    $(press)/$@ $(puzzled)

# For the exercises, which ask for it.
$(stages:%=library-%): library-%: build/%/tangled
	$(MAKE) STAGE=$* VARIANT=asan build/$*/asan/libjanitor.a

ch% run-ch% diff-ch%:
	$(error there is no chapter $*, only $(stages))

# What a clock says is recorded, not asked at every build; ONLY=advice
# asks one program.
.PHONY: measure bench
clocked := ch05/advice ch05/share ch08/scale ch08/places ch09/many \
           ch10/bench ch10/growth ch10/pauses ch10/work
measure: $(patsubst %,build/%programs,$(sort $(dir $(clocked))))
	mkdir -p figures/measured
	for p in $(or $(filter %/$(ONLY),$(clocked)),$(clocked)); do \
	    csv=build/$${p##*/}.csv; \
	    case $$p in \
	    ch10/*) bash $(bench) $${p##*/} > $$csv ;; \
	    *)      build/$$p > $$csv ;; \
	    esac || exit 1; \
	    printf '# %s; %s; %s\n' "$$(date -u +%F)" \
	        "$$(sed -n 's/^model name.*: //p' /proc/cpuinfo | \
	        head -n 1)" "gcc $$(gcc -dumpfullversion)" >> $$csv; \
	    mv $$csv figures/measured; \
	    $(press)/records sign $$p; \
	done

# Chapter 10 side by side with all others: build/bench/*.csv.
bench := build/ch10/plain/bench/run
measure bench: build/ch10/programs build/ch09/programs
bench:
	bash $(bench) bench | column -ts,
	bash $(bench) growth | column -ts,
	bash $(bench) pauses | column -ts,
	bash $(bench) work | column -ts,

# The library and CPython side by side: SEEDS random programs of OPS
# steps, from SEED on.
SEED  ?= 1
OPS   ?= 100000
SEEDS ?= 20
worlds := build/chE/plain
same_dictionaries = build/chE/containers $1 $2 > build/oracle/ours && \
    /usr/bin/python3 $(worlds)/chE/containers.py $1 $2 \
        > build/oracle/python && \
    cmp build/oracle/ours build/oracle/python
.PHONY: oracle
oracle: build/oracle/oracle $(if $(ORDER),build/oracle/lists) \
        build/chE/programs
	$(if $(ORDER),build/oracle/lists,$<) $(SEED) $(OPS) $(SEEDS)
	$(call same_dictionaries,$(SEED),$(OPS))
	echo 'weak dictionaries: $(OPS) steps, the same in both'

# Half a minute, and five for the bugs: what Appendix E prints of it.
lists  := build/ch09/plain/code
mutate := CODE=$(lists) ORACLE=$(worlds)/tests/oracle \
          bash $(worlds)/tests/oracle/mutate.sh
asked  := oracle-strict oracle-lenient bugs-strict bugs-lenient
ask.oracle-strict  = ORDER=list build/oracle/lists 1 100000 100
ask.oracle-lenient = $< 1 100000 100
ask.bugs-strict    = ORDER=list $(mutate)
ask.bugs-lenient   = $(mutate)
.PHONY: measure-oracle
measure-oracle: build/oracle/oracle build/oracle/lists
	$(foreach a,$(or $(filter $(ONLY),$(asked)),$(asked)),\
	    $(ask.$a) > build/oracle/$a && \
	    mv build/oracle/$a figures/measured/$a.txt && \
	    $(press)/records sign chE/$a &&) true

# The order of lists is asked of the last library that has them.
define make_oracle
	mkdir -p $(@D)
	gcc -std=gnu11 -O2 -g -Wall -Wextra -Wshadow -o $@ \
	    -I$1 -isystem /usr/include/python3.11 \
	    $(worlds)/tests/oracle/*.c $1/*.c \
	    $$(/usr/bin/python3-config --embed --ldflags)
endef
build/oracle/oracle: build/chE/tangled Makefile
	$(call make_oracle,$(worlds)/code)
build/oracle/lists: build/chE/tangled build/ch09/tangled Makefile
	$(call make_oracle,$(lists))

tangle: build/$(last)/tangled $(press)/tangled
	$(press)/publish build/$(last)

# What the last weaving or testing said differently, from now on right.
.PHONY: accept
accept: $(press)/tangled
	$(press)/accept

# The book is made by all processors there are.
ifneq (,$(filter book page html epub site,$(goals)))
ifeq (,$(findstring jobserver,$(shell echo "$$MAKEFLAGS")))
MAKEFLAGS += -j$(shell nproc)
endif
endif

# The weaver has nothing to say unless something is wrong; how far it
# has come, it says to file 3.
book: build/book.pdf
build/workshop.pdf: build/book.pdf ;
# Who runs ./check/NAME; and the preface does an exercise of ch02.
checked := $(foreach c,$(chapters),$(if \
    $(shell grep -l '^\$$ \./check/' $c),ch$(call number,$c)))
pages := book.md Makefile $(wildcard .ci/* chapters/*.nw \
         figures/* figures/*/*)
build/book.pdf: $(pages) $(press)/tangled \
        $(stages:%=build/%/programs) \
        $(foreach s,$(checked),build/$s/check/demos) \
        | build/exercises/catalogue library-ch02
	echo 'The programs are built. Now the pages:'
	$(press)/weave build 3>&1 > build/weave.log 2>&1 && \
	    ! test -s build/weave.log || \
	    { cat build/weave.log >&2; rm -f $@; exit 1; }
	echo 'The book is in $@.'

# The editions for a screen need the programs, too, but not TeX.
stirred := ch02 ch03 ch04 ch05 ch06 ch07
.PHONY: html epub site test-html
html: build/html/index.html
epub: build/book.epub
build/html/index.html build/book.epub: $(pages) $(press)/tangled \
        $(stages:%=build/%/programs) \
        $(foreach s,$(checked),build/$s/check/demos) \
        | build/exercises/catalogue library-ch02
build/html/index.html: $(stirred:%=build/live/%.js) build/live/live.js \
        build/live/live.css build/live/layout.js build/live/puzzles.js
build/html/index.html:
	echo 'The programs are built. Now the pages:'
	$(press)/screen build/html html 3>&1
	echo 'The book is in $@.'
# They run the same programs in the same folders as the book does.
build/html/index.html: | \
        $(if $(filter book site test-html,$(goals)),build/book.pdf)
build/book.epub: | build/html/index.html
	$(press)/screen $@ epub 3>&1

site: book build/html/index.html build/book.epub
	$(press)/gather build/site

test-html: build/html/index.html build/book.epub book test-live
	$(press)/try-pages

# One chapter; its references need the last whole book, if any.
chosen := $(if $(CH),$(shell printf ch%02d '$(CH:0%=%)' 2>&-))
asked_too := $(if $(chosen),$(sort $(shell sed -n \
    -e 's/^```{.* stage=\([0-9]\)[ }].*/ch0\1/p' \
    -e 's/^```{.* stage=\([0-9][0-9]\)[ }].*/ch\1/p' \
    chapters/$(chosen:ch%=%)-*.nw)))
page: $(press)/tangled $(asked_too:%=build/%/programs) \
        $(if $(chosen),build/$(chosen)/programs \
        $(if $(filter $(chosen),$(checked)),\
            build/$(chosen)/check/demos))
	test -n '$(chosen)' || { echo 'which? make page CH=3' >&2; exit 1; }
	$(press)/weave build $(CH)

# ---- heaps to touch, in the browser ------------------------------

live   := build/live
driver := $(addprefix $(press)/,live-stage live.c hear.c hear.h)
$(driver) $(press)/live-puzzles $(press)/live-puzzles.awk \
    $(press)/puzzle.c $(press)/try-live $(press)/try-live-page \
    $(press)/live.js $(press)/live.css: $(press)/tangled ;

.PHONY: live
live: $(stirred:%=$(live)/%.js) $(live)/live.js $(live)/live.css \
        $(live)/layout.js $(live)/puzzles.js
$(stirred:%=$(live)/%.js): $(live)/%.js: build/%/tangled $(driver)
	mkdir -p $(live) build/driver
	$(press)/live-stage $* $@
$(live)/live.js $(live)/live.css: $(live)/%: $(press)/%
	mkdir -p $(live)
	install -m 644 $< $@
$(live)/puzzles.js: $(press)/live-puzzles $(press)/live-puzzles.awk \
        $(press)/puzzle.c build/$(puzzled)/libjanitor.a
	mkdir -p $(live) build/driver build/exercises
	$(press)/live-puzzles $@ $(puzzled)
build/$(puzzled)/libjanitor.a: build/$(puzzled)/programs ;
# The boxes are arranged by dagre, of npm.
dagre := build/npm/node_modules/@dagrejs/dagre/dist/dagre.min.js
$(live)/layout.js:
	test -e $(dagre) || npm install --silent --no-audit --no-fund \
	    --no-save --prefix build/npm @dagrejs/dagre@3.1.3
	mkdir -p $(live)
	cat $(dagre).LEGAL.txt $(dagre) | \
	    grep -v '^//# sourceMapping' > $@.new
	mv $@.new $@

# ---- the gates of "make check" -----------------------------------

gates := check-roots check-layout check-warnings check-asan \
         check-stress check-self check-valgrind check-drift \
         check-golden check-records check-visit \
         check-oracle check-exercises check-watch check-puzzles \
         check-book check-printed check-readme check-floors \
         check-cxx check-live check-gates
.PHONY: $(gates)
ifneq (,$(filter check check-%,$(goals)))
rules := $(shell sed -n 's/^\(check-[a-z]*\):.*/\1/p' Makefile | \
           grep -v -e ports -e graders)
$(foreach g,$(filter-out $(gates),$(rules)),\
    $(error $g has a rule, but is not on the list of gates))
$(foreach g,$(filter-out $(rules),$(gates)),\
    $(error $g is on the list of gates, but has no rule))
endif
check: test $(gates)
	$(call totals,build/ch*/obj-*)

# Those of the chapters are checked whenever a stage is tangled.
check-roots: $(press)/tangled
	$(press)/check-press

check-layout: $(press)/tangled
	gawk -f $(press)/layout.awk chapters/*.nw

check-warnings: $(stages:%=warnings-%)
$(stages:%=warnings-%): warnings-%: build/%/tangled
	$(MAKE) STAGE=$* warnings

check-asan: $(stages:%=asan-%)
	$(call totals,build/ch*/obj-asan) > /dev/null
$(stages:%=asan-%): asan-%: library-%
	$(MAKE) STAGE=$* VARIANT=asan tests

check-self: $(stages:%=self-%)
	$(call totals,build/ch*/obj-check) > /dev/null
$(stages:%=self-%): self-%: build/%/check/demos
	$(MAKE) STAGE=$* VARIANT=check tests

# The collector comes by itself from Chapter 4 on.
stressed := $(filter-out ch01 ch02 ch03,$(stages))
check-stress: $(stressed:%=stress-%)
	$(call totals,build/ch*/obj-stress) > /dev/null
$(stressed:%=stress-%): stress-%: build/%/tangled
	$(MAKE) STAGE=$* VARIANT=stress tests

check-valgrind: build/$(last)/tangled
	$(MAKE) STAGE=$(last) VARIANT=memcheck tests
	$(call totals,build/$(last)/obj-memcheck) > /dev/null

check-drift: build/$(last)/tangled $(press)/tangled
	$(press)/publish -n build/$(last)

check-floors: build/$(last)/programs
	$(press)/floors build/$(last)

# The header as C++17 and as C23, with places and without.
cxx := -Wall -Wextra -Wpedantic -Werror -Ibuild/$(last)/plain/code
check-cxx: build/$(last)/programs
	for places in -DGC_PLACES -UGC_PLACES; do \
	    echo '#include "janitor.h"' | gcc -std=c2x $$places \
	        $(cxx) -fsyntax-only -x c - && \
	    echo '#include "janitor.h"' | g++ -std=c++17 $$places \
	        $(cxx) -fsyntax-only -x c++ - || exit 1; \
	done
	g++ -std=c++17 $(cxx) -o build/ring $(press)/ring.cpp \
	    build/$(last)/libjanitor.a
	build/ring

# Half a minute, but a download: no part of "make check".
.PHONY: check-ports
check-ports: build/$(last)/tangled
	$(press)/ports build/$(last)

check-golden: plain-$(last)
	$(press)/golden build/$(last)/plain/tests
	$(press)/asserted build/$(last)/obj-plain
	$(press)/accept -n

# The stages that were measured stand in the list of records.
measured := $(shell cut -s -d/ -f1 figures/measured/sums 2> /dev/null)
check-records: $(press)/tangled \
        $(patsubst %,build/%/tangled,$(sort $(measured)))
	$(press)/records

# As a visitor would: with gcc, cmocka, code/ and tests/ alone.
visit := build/visit
alone  = $(CC) -std=c11 -Icode -Itests -o $$t tests/$$t.c \
         $(filter-out tests/test_%,$(wildcard tests/*.c)) \
         code/*.c -lcmocka
check-visit: $(press)/tangled build/$(last)/tangled
	rm -rf $(visit)
	mkdir -p $(visit)/obj-plain
	cp -R code tests $(visit)
	for t in tests/test_*.c; do \
	    t=$$(basename $$t .c); \
	    (cd $(visit) && $(alone)) || exit 1; \
	    QUIET=1 $(press)/try $(visit)/$$t \
	        $(visit)/obj-plain/$$t.log; \
	done
	$(call totals,$(visit)/obj-plain)

# Two minutes: both kinds of comparison, then the bugs on purpose.
check-oracle: build/oracle/oracle build/oracle/lists build/chE/programs
	ORDER=list timeout 300 build/oracle/lists 1 100000 200 > build/oracle/log || \
	    { cat build/oracle/log >&2; exit 1; }
	timeout 300 $< 1 100000 150 > build/oracle/log || \
	    { cat build/oracle/log >&2; exit 1; }
	for seed in 1 2 3 4 5; do \
	    $(call same_dictionaries,$$seed,100000) || exit 1; \
	done
	ORDER=list $(mutate) > build/oracle/bugs || \
	    { cat build/oracle/bugs >&2; exit 1; }

check-exercises: build/exercises/catalogue $(stages:%=library-%)
	$(press)/prove $(CH)

# Does each assertion of the graders reject something? CH=4. are those
# of a chapter; with GRADERS=all, also what another would say as well.
.PHONY: check-graders
check-graders: build/exercises/catalogue $(stages:%=library-%)
	GRADERS=$(or $(GRADERS),1) $(press)/prove $(CH)

# The watcher's own warnings, and a reader at its keys, in a terminal
# of tmux's; SPOIL=1 asks whether that would notice if it were broken.
check-watch: build/exercises/catalogue library-ch01 library-ch02
	for cc in gcc clang; do \
	    $$cc -std=c11 -O1 -Wall -Wextra -Wpedantic -Wshadow \
	        -Wconversion -Werror -c -o /dev/null \
	        $(press)/watch.c || exit 1; \
	done
	SPOIL='$(SPOIL)' $(press)/try-watch $(CASE)

# The puzzles of each chapter, as CPython would answer them.
check-puzzles: build/$(puzzled)/programs
	N='$(N)' SPOIL='$(SPOIL)' $(press)/try-puzzles $(puzzled)

check-book: book

check-printed: book
	$(press)/printed build/book.pdf build/workshop.pdf

# The picture in README.md: the stage that draws it, and its command.
picture := 3 './figures move_unreachable'
check-readme: book
	$(press)/heapfigure $(picture) build/readme.svg
	cmp -s build/readme.svg figures/readme.svg || { echo \
	    'figures/readme.svg: the program draws build/readme.svg' \
	    'instead; copy it there' >&2; exit 1; }

# The live heaps of the pages: the library, and no other?
check-live: live $(stirred:%=build/driver/%) $(press)/try-live
	$(press)/try-live
	SPOIL=1 $(press)/try-live > /dev/null
.PHONY: test-live
test-live: live $(stirred:%=build/%/programs) $(press)/try-live-page
	$(press)/try-live-page
$(stirred:%=build/driver/%): build/driver/%: build/%/programs $(driver)
	mkdir -p $(@D)
	$(press)/live-stage $* $@

check-gates: $(press)/tangled
	$(press)/gates

endif
