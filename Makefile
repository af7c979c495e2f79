# The front door: what a person types. Meson and Ninja do the work (meson.build).
BUILD ?= build
PREFIX ?= /usr/local
RUN ?= runs/phantom
DATA ?= runs/phantom-data
OUT ?= runs/notebook.ipynb
program = $(BUILD)/cli/brainmri

.PHONY: build spark run test test-keras test-browser test-tensorboard test-cluster notebook test-notebook deb test-deb fuzz bench check format install clean help packages
.NOTPARALLEL:

build: packages
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) --prefix $(abspath $(PREFIX))
	@[ ! models/brain-mri-compact.safetensors -nt $(BUILD)/build.ninja ] || meson setup --reconfigure $(BUILD)
	@ninja -C $(BUILD) --quiet

packages:
	@scripts/install-packages.sh

# The Spark job's jar, with Maven: only --master needs it.
spark: build
	@scripts/install-packages.sh scripts/packages-cluster.txt
	@scripts/build-spark.sh $(BUILD)

# Generates a data set and takes a ResNet-50 through the ten phases on it.
run: build
	$(program) phantom $(DATA) --count 1100 --size 128
	$(program) run $(DATA) --out $(RUN) --plan scratch --image-size 64 --epochs 2,8 --lr 0.001 --no-augment --time-budget 6m

# Unit tests and golden command lines.
test: build
	@scripts/test.sh $(BUILD)

# Parity with Keras: takes TensorFlow (some 2 GB) into ~/.cache/brainmri-peers.
test-keras: build
	@scripts/test-keras.sh $(BUILD)

# Against a real HDFS and Spark: takes Java, Maven and, once, some 300 MB of jars into ~/.cache/brainmri-cluster.
test-cluster: build
	@scripts/test-cluster.sh $(BUILD)

# The notebook headless, into OUT: on phantoms, or `make notebook DATA=FOLDER BUDGET=60m`. SETTINGS: any options of `brainmri run`.
notebook: build
	@BRAINMRI_DATA='$(if $(filter file,$(origin DATA)),,$(DATA))' \
		BRAINMRI_SETTINGS='$(or $(SETTINGS),$(if $(BUDGET),--plan scratch --time-budget $(BUDGET)))' scripts/notebook.sh $(BUILD) $(OUT)

test-notebook: build
	@scripts/notebook.sh $(BUILD) --test

# Damaged images, packs, configurations and models, ten seconds of each: FUZZ_SECONDS=300 for more.
fuzz: build
	@scripts/install-packages.sh scripts/packages-fuzz.txt
	@scripts/fuzz.sh $(BUILD)

bench: build
	@scripts/install-packages.sh scripts/packages-bench.txt
	@scripts/bench.sh $(BUILD)

check: build
	@scripts/install-packages.sh scripts/packages-check.txt
	@scripts/check.sh $(BUILD)

format:
	@scripts/install-packages.sh scripts/packages-check.txt
	@git ls-files --cached --others --exclude-standard -- '*.c' '*.h' | xargs clang-format -i

install: build
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@ninja -C $(BUILD) --quiet
	@meson install -C $(BUILD) --no-rebuild
	@[ -n "$$DESTDIR" ] || [ "$$(id -u)" != 0 ] || ldconfig

# The report and the live page in a real browser.
test-browser: build
	@scripts/install-packages.sh scripts/packages-browser.txt || true # skipped without
	@scripts/test.sh $(BUILD) --suite browser

# What --tensorboard writes, with TensorBoard's own reader: takes it (some 200 MB) into ~/.cache/brainmri-peers.
test-tensorboard: build
	@scripts/test-tensorboard.sh $(BUILD)

# Debian packages into $(BUILD)/deb, as lintian accepts them; and the same installed and used in a clean tree.
deb:
	@scripts/install-packages.sh scripts/packages.txt scripts/packages-deb.txt
	@scripts/deb.sh $(BUILD)

test-deb: deb
	@scripts/test-deb.sh $(BUILD)

clean:
	rm -rf build build-asan build-fuzz

help:
	@echo "make               build the program: $(program)"
	@echo "make spark         the jar that --master needs, with Maven"
	@echo "make run           generate a data set, train and evaluate a ResNet-50 on it: $(RUN)/report.html"
	@echo "make test          unit tests and golden command lines"
	@echo "make test-keras    parity with Keras"
	@echo "make test-cluster  against a real HDFS and Spark"
	@echo "make notebook      run the notebook: $(OUT)"
	@echo "make test-notebook its cells, its outputs, and all of it on phantoms"
	@echo "make fuzz          feed damaged files to what reads files"
	@echo "make bench         speed and memory, beside other tools"
	@echo "make check         format, folder order, lint, sanitizers"
	@echo "make format        put the sources into the project's format"
	@echo "make install       into PREFIX (default /usr/local)"
	@echo "make test-browser  the report and the live page in Chromium"
	@echo "make test-tensorboard --tensorboard, read by TensorBoard"
	@echo "make deb           Debian packages: $(BUILD)/deb"
	@echo "make test-deb      installs and uses them in a clean tree (root, network)"
	@echo "make clean         remove what was built; runs/ is kept"
	@echo "Each installs the Debian packages that are missing first (scripts/packages.txt)."
