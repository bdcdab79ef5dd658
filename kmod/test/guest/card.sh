# SPDX-License-Identifier: MIT OR Apache-2.0
# A server behind a network card, with an ordinary user's stream beside it: see kmod/test/card, which sends the load and judges.

# A module of its own in 6.1, part of the kernel later.
modprobe virtio_pci 2> /dev/null
modprobe virtio_net
check "there is a network card" eventually test -e /sys/class/net/eth0
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
mkdir -p /tmp/www
echo "a page of a plain server" > /tmp/www/index.html
check "a configuration with patience" ./ttls ctl load --config patient.toml
./ttls ctl run -- httpd -f -p 443 -h /tmp/www &
server=$!
check "a server listens" eventually is listeners 1
check "an ordinary user's stream goes out beside it" ./bystander send 10.0.2.2 9000
cat /tmp/output
check "all handshakes were made" [ "$(counter full)" -ge 600 ]
check "and all of the others refused" [ "$(counter failed_peer)" -ge 3000 ]
killall -q httpd
wait $server 2> /dev/null
