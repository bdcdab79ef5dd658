# SPDX-License-Identifier: MIT OR Apache-2.0
# A CPU that goes and comes back while handshakes are made: its memory goes with it, what it had to compute is computed elsewhere.

if [ "$(nproc)" -gt 1 ]; then
    mkdir -p /tmp/www
    echo "a page of a plain server" > /tmp/www/index.html
    check "a configuration with patience" ./ttls ctl load --config patient.toml
    ./ttls ctl run -- httpd -f -p 443 -h /tmp/www &
    server=$!
    check "a server listens" eventually is listeners 1
    ./ttls-load --name one.example --connections 8 --count 200 --seconds 300 --timeout 100 127.0.0.1:443 > /tmp/bench 2>&1 &
    bench=$!
    turns() {
        for turn in 1 2 3 4; do
            echo 0 > /sys/devices/system/cpu/cpu1/online || return
            sleep 0.2
            echo 1 > /sys/devices/system/cpu/cpu1/online || return
            sleep 0.2
        done
    }
    check "a CPU goes and comes back, four times" turns
    wait $bench
    check "no handshake was lost" grep -q '^handshakes done *200 ' /tmp/bench
    tail -n 4 /tmp/bench
    killall -q httpd
    wait $server 2> /dev/null
    check "the usual configuration is back" ./ttls ctl load --config ttls.toml
fi
