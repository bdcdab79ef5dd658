# `make run` and `make test` are all most people need.
.PHONY: help run test tools style rooms dependencies msrv publish-check build test-rust fuzz fuzz-smoke test-kernel test-kernel-debug test-lanes deb test-deb test-aarch64 audit audit-valgrind audit-timing bench-crypto bench-handshake bench-flood bench-kernel bench-slow test-bench

help:
	@echo "make run   build ttls and start its demo (ends with Ctrl-C)"
	@echo "make test  everything: style, unit tests, real clients, bad input, floods, the kernel module in QEMU, a taste of the fuzzers"
	@echo "make rooms  who imports whom, against the order of rooms in ARCHITECTURE.md"
	@echo "make dependencies  licences of what is linked, and dependencies that nothing uses"
	@echo "make msrv  a build with the oldest Rust that Cargo.toml promises"
	@echo "make publish-check  the crates ttls and ttls-crypto as crates.io would get them"
	@echo "make fuzz  each fuzzer for FUZZ_SECONDS (now $(FUZZ_SECONDS)) seconds; needs a nightly compiler"
	@echo "make audit-valgrind audit-timing  whether time depends on secrets (docs/constant-time.md)"
	@echo "make test-kernel  the kernel module, in QEMU, on stock Debian kernels"
	@echo "make test-kernel-debug  the same on a kernel that watches memory and locks, and with allocations that fail"
	@echo "make test-lanes  the eight-lane code and the kernel module in Bochs, which emulates AVX-512 IFMA and AVX-IFMA"
	@echo "make deb   Debian packages of the program and the kernel module, in target/deb"
	@echo "make test-deb  the packages: on a copy of this machine, and under systemd in QEMU (Debian 12, needs root)"
	@echo "make test-aarch64  builds for arm64 and runs unit tests there, in QEMU"
	@echo "make bench-crypto  public-key operations beside aws-lc-rs and OpenSSL"
	@echo "make bench-handshake  servers side by side: nginx, HAProxy, hitch, rustls"
	@echo "make bench-flood  who is served while others attack: ttls serve beside nginx, HAProxy and rustls (needs root)"
	@echo "make bench-kernel  instructions per connection: ttls.ko beside nginx with OpenSSL, in an emulator that counts them"
	@echo "make bench-slow  what 10,000 clients that read 1 KB a second cost"

run:
	cargo run --release --bin ttls -- serve --demo

test: tools style rooms dependencies build test-rust test-bench test-kernel audit fuzz-smoke

# Debian packages that the tests use and this machine lacks.
tools:
	ci/install

style:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --lib

# Who imports whom, against the order in ARCHITECTURE.md; a second.
rooms:
	ci/rooms

# Licences, unused dependencies, and whether each has its reason; a second or two.
dependencies:
	ci/dependencies

# Not part of `make test`: on another Rust than this it builds everything a second time.
msrv:
	ci/msrv

# What crates.io would get, built from the packages.
publish-check:
	cargo publish --dry-run --allow-dirty -p ttls-crypto -p ttls

# The program under test, with debug assertions and overflow checks on. With the whole workspace, so that its
# dependencies are built once, with the features the tests use too.
build:
	cargo build --workspace

test-rust:
	TTLS_PROGRAM=$(abspath $(or $(CARGO_TARGET_DIR),target))/debug/ttls cargo test --workspace

# What the benchmarks make of their measurements.
test-bench:
	python3 -B bench/flood/test_rows.py

FUZZ_SECONDS ?= 300
fuzz:
	ci/fuzz $(FUZZ_SECONDS)

# A few seconds each: that the targets build, and that what was found once stays found.
fuzz-smoke:
	ci/fuzz 5 --optional

# Branches of the release code that handles secrets, counted: fails on new ones. What operations leave in memory. And whether the
# lanes' limbs stay in their bounds (docs/bounds.md): of the whole workspace, whose tests `make test` has built already.
audit:
	ci/constant-time
	ci/leftovers
	cargo test --workspace --lib -- bounds ntt

# Branches and addresses that depend on a secret, found by valgrind; about half a minute.
audit-valgrind:
	ci/audit-valgrind

# A statistical test of the time of whole batches; some minutes, better on an idle machine.
audit-timing:
	cargo run --release -p ttls-audit --bin timing

# Builds ttls.ko for stock Debian kernels and tests it in QEMU: about ten minutes the first time, five later.
# KERNELS=6.1 tests one of them, KERNELS=newest what Debian 13's backports offer: see kmod/test/run.
test-kernel:
	ci/install packages-kernel
	kmod/test/run $(KERNELS)

# The same tests, and allocations that fail, on a kernel with KASAN, lockdep and kmemleak, which is built first from
# Debian's source: that alone takes long.
test-kernel-debug:
	ci/install packages-kernel
	ci/install packages-kernel-debug
	kmod/test/checkpatch
	kmod/test/run debug

# The eight-lane code on any x86-64 machine, in user space and in the kernel module: see ci/test-lanes. Half an hour, so not
# part of `make test`. ROUNDS=1000 compares more of random work with scalar code, for hours.
test-lanes:
	ci/install packages-kernel
	ci/install packages-lanes
	ci/test-lanes $(ROUNDS)

# Debian packages of the program and of the kernel module, for DKMS: target/deb/*.deb.
deb:
	ci/install packages-deb
	packaging/deb

# Lintian; the packages installed, tried and removed on a copy of this machine that is gone afterwards; and a minimal
# Debian with them, booted in QEMU, for what only a running systemd can show: minutes more. Needs root.
# packaging/test-booted is that last part alone.
test-deb: deb
	packaging/test

# Builds for arm64, where scalar code does all the work, and runs the tests of the libraries in QEMU's user mode.
# Not part of `make test`.
test-aarch64:
	ci/install packages-aarch64
	ci/test-aarch64

# Operations per second of one core beside aws-lc-rs and OpenSSL; about two minutes, ends with target/bench/crypto.json.
bench-crypto:
	bench/crypto/run

# `ttls serve` beside nginx, HAProxy, hitch and rustls: about ten minutes on two idle cores. BENCHMARKS.md explains it.
# BENCH='--rounds 1 --cases tls13-psk' measures less.
bench-handshake:
	bench/handshake/run $(BENCH)

# Legitimate clients beside attacks, `ttls serve` and its peers with the same small share of a core: two hours and a half on idle cores,
# BENCH=--short some minutes. BENCHMARKS.md explains it; BENCH='--short --peers ttls,nginx --attacks full --times 10' measures less.
bench-flood:
	bench/flood/run $(BENCH)

# Instructions of one connection, handshake in the kernel and in nginx with OpenSSL, in QEMU: five minutes the first time, ends with
# target/bench/kernel.json. KERNELS='6.1 6.12' measures on both.
bench-kernel:
	ci/install packages-kernel
	ci/install packages-bench-kernel
	bench/kernel/run $(KERNELS)

# Memory for 10,000 clients that ask for much and read 1 KB a second, as many as the limit of descriptors allows: some minutes, ends with
# target/bench/slow.json. BENCH='1000 20' is 1,000 of them for 20 seconds.
bench-slow:
	bench/slow/run $(BENCH)
