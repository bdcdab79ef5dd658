# `make run` and `make test` are all most people need.
.PHONY: help run test tools style build test-rust bench-crypto bench-handshake

help:
	@echo "make run   build ttls and start its demo (ends with Ctrl-C)"
	@echo "make test  everything: style, unit tests, real clients, bad input, floods"
	@echo "make bench-crypto  public-key operations beside aws-lc-rs and OpenSSL"
	@echo "make bench-handshake  servers side by side: nginx, HAProxy, hitch, rustls"

run:
	cargo run --release --bin ttls -- serve --demo

test: tools style build test-rust

# Debian packages that the tests use and this machine lacks.
tools:
	ci/install

style:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

# The program under test, with debug assertions and overflow checks on.
build:
	cargo build -p ttls-server

test-rust:
	cargo test --workspace

# Operations per second of one core beside aws-lc-rs and OpenSSL; about two minutes, ends with target/bench/crypto.json.
bench-crypto:
	bench/crypto/run

# `ttls serve` beside nginx, HAProxy, hitch and rustls: about ten minutes on two idle cores. BENCHMARKS.md explains it.
# BENCH='--rounds 1 --cases tls13-psk' measures less.
bench-handshake:
	bench/handshake/run $(BENCH)
