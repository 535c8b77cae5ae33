# Husk's front door. Each target brings what it needs; CMake does the work.
JOBS ?= $(shell nproc)

.PHONY: all build setup clang guest guest-arm64 demo test aarch64 lab-arm64 lab-kvm-arm64 lab-kvm-x86 lint tidy bench asan tsan fuzz fuzz-cpu \
        selftests soak-stress soak-cpu clean

all: build

build: setup
	cmake --preset release >/dev/null
	cmake --build build/release -j $(JOBS)

setup:
	tools/setup.sh

# The guest kernel and the initial RAM disk that tests boot.
guest: setup
	tools/fetch_kernel.sh
	tools/fetch_kernel.sh amd64
	tools/make_test_initrd.sh
	tools/make_demo_image.sh

# Debian's kernel for aarch64; `make test` and `make aarch64` look at it when it is there.
guest-arm64: setup
	tools/fetch_kernel.sh cloud-arm64

demo: build guest
	tools/demo.sh

test: export HUSK_TEST_KERNEL = $(CURDIR)/.cache/guest/vmlinuz
test: export HUSK_TEST_KERNEL_ARM64 = $(wildcard $(CURDIR)/.cache/guest-arm64/vmlinuz)
test: build guest
	tools/make_test_images.sh
	ctest --test-dir build/release --output-on-failure -j $(JOBS) -LE guest
	ctest --test-dir build/release --output-on-failure -j $(JOBS) -L guest

# Everything for aarch64, its unit tests by user emulation. It brings compiler and libraries; see tools/setup_arm64.sh.
aarch64: export HUSK_TEST_KERNEL = $(CURDIR)/.cache/guest/vmlinuz
aarch64: export HUSK_TEST_KERNEL_ARM64 = $(wildcard $(CURDIR)/.cache/guest-arm64/vmlinuz)
aarch64: setup
	tools/setup_arm64.sh
	tools/fetch_kernel.sh
	cmake --preset aarch64 >/dev/null
	cmake --build build/aarch64 -j $(JOBS)
	ctest --test-dir build/aarch64 --output-on-failure -j $(JOBS) -LE guest

# What needs KVM of x86-64, in a machine of QEMU's that has it; ROUNDS=10000 for the whole force_exit.
lab-kvm-x86: build guest
	tools/setup.sh qemu-system-x86
	tools/lab/again.sh tools/lab/kvm_x86.sh

# What needs KVM of arm64, in a machine of QEMU's that has it; see tools/lab/arm64.sh.
lab-arm64: aarch64
	tools/lab/setup_arm64.sh
	ctest --test-dir build/aarch64 --output-on-failure -L lab

# Husk itself on that KVM: the backend's tests, Debian's kernel, an OCI image's command.
lab-kvm-arm64: setup
	tools/setup_arm64.sh
	cmake --preset aarch64 >/dev/null
	cmake --build build/aarch64 -j $(JOBS) --target husk kvm_test runtime_test seam_contract_test
	tests/lab/run_arm64.sh build/aarch64

# Side by side with QEMU TCG, which it installs; raw numbers go to build/bench. See bench/README.md.
bench: build guest
	tools/setup.sh qemu-system-x86
	python3 bench/boot.py build/release/husk .cache/guest build/bench/boot.json
	build/release/kvm_roundtrips build/bench/kvm_roundtrips.json
	python3 bench/restore.py build/release/husk .cache/guest oci:.cache/demo build/bench/restore.json
	tools/make_test_images.sh
	python3 bench/bake.py build/release/husk .cache/guest oci:.cache/images/debian build/bench/bake.json
	python3 bench/memory.py --out build/bench/memory.json build/release/husk .cache/guest oci:.cache/images/debian
	python3 bench/fork.py build/release/husk .cache/guest oci:.cache/demo build/bench/fork.json
	python3 bench/loads.py --out build/bench/loads.json build/release/husk .cache/guest build/release/bench_loads
	python3 bench/smp.py --out build/bench/smp.json build/release/husk .cache/guest build/release/bench_loads
	tools/make_bench_root.sh
	python3 bench/programs.py --out build/bench/programs.json build/release/husk .cache/guest .cache/bench

lint: setup
	tools/lint.sh

tsan: export TSAN_OPTIONS = suppressions=$(CURDIR)/tools/tsan.supp
# It holds signals back until the thread comes to code that it knows, which translated code is not.
tsan: export HUSK_CPU_MODE = interp
# Finds bugs that compilers do not; takes minutes.
tidy: build
	tools/setup.sh clang-tidy-19
	run-clang-tidy-19 -quiet -j $(JOBS) -p build/release '^(?!.*_test\.cc).*/src/.*\.cc$$'

# By Clang, and with libFuzzer's coverage, so that make fuzz needs no build of its own.
asan: clang
clang: setup
	tools/setup.sh clang-19 libclang-rt-19-dev

asan tsan: setup
	cmake --preset $@ >/dev/null
	cmake --build build/$@ -j $(JOBS)
	ctest --test-dir build/$@ --output-on-failure -j $(JOBS) -LE guest

# Each fuzz target for SECONDS_EACH seconds under ASan.
SECONDS_EACH ?= 600
fuzz: clang
	tools/fuzz.sh $(SECONDS_EACH)

# Ten million random instruction sequences, on the host's processor and in the interpreter.
fuzz-cpu: setup
	cmake --preset release >/dev/null
	cmake --build build/release -j $(JOBS) --target fuzz-cpu

# So many instructions in whole random blocks, on the host's processor and in translator and interpreter.
SOAK_INSTRUCTIONS ?= 100000000
SOAK_SEED ?= 3
soak-cpu: setup
	cmake --preset release >/dev/null
	cmake --build build/release -j $(JOBS) --target cpu_diff
	build/release/cpu_diff --engine jit --longest 24 --seed $(SOAK_SEED) --instructions $(SOAK_INSTRUCTIONS)
	build/release/cpu_diff --engine interp --longest 24 --seed $(SOAK_SEED) --instructions $(SOAK_INSTRUCTIONS)

# Linux's x86 selftests in guests of the built-in CPU, in both modes, on one vCPU and on two.
selftests: build guest
	tools/make_soak_image.sh
	python3 tests/soak/selftests.py build/release/husk .cache/guest .cache/soak

# stress-ng --verify and compiles for so many seconds, shared out between modes, numbers of vCPUs and loads.
SOAK_SECONDS ?= 7200
soak-stress: build guest
	tools/make_soak_image.sh
	python3 tests/soak/stress.py --seconds $(SOAK_SECONDS) build/release/husk .cache/guest .cache/soak

clean:
	rm -rf build
