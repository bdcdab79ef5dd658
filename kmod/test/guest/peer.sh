# SPDX-License-Identifier: MIT OR Apache-2.0
# A peer that misbehaves, and a server that looks into its socket.
./peer
[ $? -eq 0 ] || failed=$((failed + 1))
# Of what follows, nothing waits for a handshake's time-out, and three seconds can pass in the guest of a busy machine.
./ttls ctl load --config patient.toml
# From 6.14 on, kTLS can take new keys.
updates=closes
[ "$(printf '6.14\n%s\n' "$(uname -r)" | sort -V | head -n 1)" != 6.14 ] || updates=follows
./key-updates $updates
[ $? -eq 0 ] || failed=$((failed + 1))
ip link set lo mtu 1500
modprobe sch_netem
check "packets are delayed" ./tc qdisc add dev lo root netem delay 10ms limit 10000
./records
[ $? -eq 0 ] || failed=$((failed + 1))
./tc qdisc del dev lo root
ip link set lo mtu 65536
./ttls ctl load --config ttls.toml
