# SPDX-License-Identifier: MIT OR Apache-2.0
# Calls that TCP takes: see kmod/test/calls.c.

./ttls ctl load --config patient.toml
./calls
[ $? -eq 0 ] || failed=$((failed + 1))
./ttls ctl load --config ttls.toml
