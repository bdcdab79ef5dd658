# SPDX-License-Identifier: MIT OR Apache-2.0
# What a program sees of its connections: see tests/accepted. WORD on the kernel's command line chooses among its tests.

./ttls ctl load --config patient.toml
# ROUNDS repeats them, each time with other dice.
for _ in $(seq ${ROUNDS:-1}); do
    ./accepted $WORD
    [ $? -eq 0 ] || failed=$((failed + 1))
done
./ttls ctl load --config ttls.toml
