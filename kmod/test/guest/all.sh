# SPDX-License-Identifier: MIT OR Apache-2.0
# Every part of the tests, in an order: the later ones use what the earlier ones started.

. ./clients.sh
. ./requests.sh
. ./nginx.sh
. ./network.sh
[ -z "$LANES" ] || . ./batches.sh
. ./secrets.sh

# A peer that misbehaves, and a server that looks into its socket.
./peer
[ $? -eq 0 ] || failed=$((failed + 1))
. ./calls.sh
. ./accepted.sh
# From 6.14 on, kTLS can take new keys.
updates=closes
[ "$(printf '6.14\n%s\n' "$(uname -r)" | sort -V | head -n 1)" != 6.14 ] || updates=follows
./key-updates $updates
[ $? -eq 0 ] || failed=$((failed + 1))
ip link set lo mtu 1500
./records
[ $? -eq 0 ] || failed=$((failed + 1))
ip link set lo mtu 65536
. ./rights.sh
. ./places.sh
. ./cpus.sh
