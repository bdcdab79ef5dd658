# SPDX-License-Identifier: MIT OR Apache-2.0
# Every part of the tests, in an order: the later ones use what the earlier ones started.

. ./clients.sh
. ./requests.sh
. ./nginx.sh
. ./network.sh
[ -z "$LANES" ] || . ./batches.sh
. ./secrets.sh
. ./peer.sh
. ./calls.sh
. ./accepted.sh
. ./rights.sh
. ./places.sh
. ./cpus.sh
