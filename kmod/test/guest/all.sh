# SPDX-License-Identifier: MIT OR Apache-2.0
# Every part of the tests, in an order: the later ones use what the earlier ones started.

part clients
part requests
part nginx
part network
[ -z "$LANES" ] || part batches
part secrets
part peer
part calls
part accepted
part rights
part places
part cpus
