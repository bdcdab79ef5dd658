# `make run` and `make test` are all most people need.
.PHONY: help run test tools style build test-rust

help:
	@echo "make run   build ttls and start its demo (ends with Ctrl-C)"
	@echo "make test  everything: style, unit tests, real clients, bad input, floods"

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
