# SPDX-License-Identifier: MIT OR Apache-2.0
# What handshakes under way may take up: places for them go back at once, and a flood of one listener leaves others theirs.

sed 's/"90s"/"90s"\n[limits]\nhalf_open = 32/' patient.toml > small.toml
check "a configuration with 32 places" ./ttls ctl load --config small.toml
mkdir -p /tmp/www
echo "a page of a plain server" > /tmp/www/index.html
check "a listener may take half of them" says "^max_pending_listener 16$" ./ttls ctl list
httpd -f -p 443 -h /tmp/www &
first=$!
httpd -f -p 8443 -h /tmp/www &
second=$!
eventually listens 443
eventually listens 8443
check "a server is put behind TLS" ./ttls ctl attach --pid $first --port 443
check "and another" ./ttls ctl attach --pid $second --port 8443

# Nothing but softirqs runs beside a client of real-time priority that never sleeps: no kernel thread ends what failed.
before=$(counter refused)
check "forty clients are refused in a burst" ./burst 443 40
check "none of their places was missed: $(counter refused)" [ "$(counter refused)" = "$before" ]
check "they have ended" eventually is ending 0

for n in $(seq 40); do
    sleep 1000 | nc 127.0.0.1 443 &
done
reached() { [ "$(counter refused)" -ge "$1" ]; }
check "silent clients of one server take half of the places" eventually is pending 16
check "those beyond it made room" eventually reached $((before + 24))
check "the other server answers" gives_page fetch https://one.example:8443/index.html
check "and the one that is flooded" gives_page fetch https://one.example/index.html
killall -q sleep nc
kill $first $second
wait $first $second 2> /dev/null
check "nothing is left" eventually is contexts 0

# The round trip of TCP's own handshake is known to the socket, even without time stamps (RFC 6298 section 2).
echo 0 > /proc/sys/net/ipv4/tcp_timestamps
check "a configuration with patience" ./ttls ctl load --config patient.toml
./ttls ctl run -- httpd -f -p 443 -h /tmp/www &
server=$!
check "a server listens" eventually is listeners 1
sleep 1000 | nc 127.0.0.1 443 &
check "a silent client" eventually is pending 1
rto() { awk '$2 ~ /:01BB$/ && $4 == "01" { print $13 }' /proc/net/tcp /proc/net/tcp6; }
check "what is lost is sent again after $(rto)0 ms" [ "$(rto)" -lt 100 ]
echo 1 > /proc/sys/net/ipv4/tcp_timestamps
killall -q httpd sleep nc
wait $server 2> /dev/null
check "the usual configuration is back" ./ttls ctl load --config ttls.toml
