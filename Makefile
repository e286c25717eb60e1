# Short names for what people type. The builds are in CMakePresets.json, the system packages in tools/install_deps.sh.
PREFIX  ?= /usr/local
DESTDIR ?=
JOBS    ?= $(shell nproc)
DEPS    ?= tools/install_deps.sh

.DEFAULT_GOAL := help
.PHONY: help demo test bench install package format clean release

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## install what is missing, build, and answer questions about a picture
	@$(DEPS)
	@$(MAKE) --no-print-directory release TARGET=binocle_cli
	@tools/demo.sh build/release/bin/binocle

test: ## install what is missing, build, and run every check and test
	@JOBS=$(JOBS) DEPS="$(DEPS)" tools/ci_steps.sh

bench: ## build and run the benchmarks of the kernels
	@$(DEPS) --bench
	@$(MAKE) --no-print-directory release TARGET=bench_ops
	build/release/bin/bench_ops

install: ## build and install to PREFIX=/usr/local, below DESTDIR when given
	@$(DEPS)
	@$(MAKE) --no-print-directory release TARGET="binocle binocle_cli"
	DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX)

package: ## make a .deb in dist/
	@$(DEPS) --package
	@$(MAKE) --no-print-directory release TARGET="binocle binocle_cli"
	cpack --config build/release/CPackConfig.cmake -G DEB -B dist
	@rm -rf dist/_CPack_Packages

format: ## lay out the C++ sources with clang-format
	@$(DEPS) --format
	tools/format.sh

clean: ## remove what was built
	rm -rf build dist

# Configures once; after that the build notices changes itself.
release:
	@test -f build/release/build.ninja || cmake --preset release
	@cmake --build build/release --parallel $(JOBS) --target $(TARGET)
