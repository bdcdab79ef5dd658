# SPDX-License-Identifier: MIT OR Apache-2.0
# TCP's other ways: IPv6, SYN cookies, Fast Open, many clients at a time, a network namespace that goes away. nginx runs.

check "a page by IPv6" gives_page curl -sS --max-time 20 --cacert ca.pem --resolve 'one.example:443:[::1]' https://one.example/index.html

statistic() {
    awk -v name="$1" '$1 == "TcpExt:" { if (!n) { n = split($0, names) } else { split($0, values) } }
        END { for (i = 1; i <= n; i++) if (names[i] == name) print values[i] }' /proc/net/netstat
}
echo 2 > /proc/sys/net/ipv4/tcp_syncookies
before=$(statistic SyncookiesRecv)
check "a page over a connection made of a SYN cookie" gives_page fetch https://one.example/index.html
check "there was a cookie" [ "$(statistic SyncookiesRecv)" -gt "$before" ]
echo 1 > /proc/sys/net/ipv4/tcp_syncookies

# On loopback a connection is received when its client sends, and its worker is woken at once. Received on another CPU (RPS),
# as from a network card, connections gather while the worker computes.
if [ "$(nproc)" -gt 1 ]; then
    echo 2 > /sys/class/net/lo/queues/rx-0/rps_cpus
    batches=$(counter batches) batched=$(counter batched)
    check "48 clients at a time, received on another CPU" taskset 1 ./ttls-load --name one.example --connections 48 --count 480 \
        --seconds 200 --timeout 60 127.0.0.1:443
    echo 0 > /sys/class/net/lo/queues/rx-0/rps_cpus
    batches=$(($(counter batches) - batches)) batched=$(($(counter batched) - batched))
    # Checkers slow the way to the worker more than its work: under them, fewer meet there.
    gain=15
    [ ! -e /sys/kernel/debug/failslab ] || gain=11
    check "are computed together: $batched connections in $batches batches" [ $((10 * batched)) -ge $((gain * batches)) ]
fi

echo 3 > /proc/sys/net/ipv4/tcp_fastopen
for attempt in 1 2 3; do
    check "with TCP Fast Open asked for, $attempt" gives_page fetch --tcp-fastopen https://one.example/index.html
done
echo 1 > /proc/sys/net/ipv4/tcp_fastopen

ulimit -n 4096
full=$(counter full)
check "$crowd clients at a time complete twice as many handshakes" ./ttls-load --name one.example --connections $crowd --count $((2 * crowd)) --seconds 200 --timeout 150 127.0.0.1:443
check "all were made in the kernel" [ "$(counter full)" -ge $((full + 2 * crowd)) ]
check "none is pending" eventually is pending 0

# Who is charged: the cgroup of the server, not of the process that a packet happens to interrupt.
mkdir /tmp/cgroup
mount -t cgroup2 cgroup /tmp/cgroup
echo +memory > /tmp/cgroup/cgroup.subtree_control
mkdir /tmp/cgroup/server
sh -c 'echo $$ > /tmp/cgroup/server/cgroup.procs; exec ./ttls ctl run -- httpd -f -p 8443 -h /tmp/www' &
server=$!
check "a server in a memory cgroup listens" eventually is listeners 3
slab() { awk '$1 == "slab_unreclaimable" { print $2 }' /tmp/cgroup/server/memory.stat; }
before=$(slab)
charged() { [ "$(slab)" -ge $((before + $1)) ] || { echo "$before bytes before, $(slab) now"; false; }; }
for n in $(seq 40); do
    sleep 1000 | nc 127.0.0.1 8443 &
done
check "silent clients of it are pending" eventually is pending 40
check "it is charged for their 40 contexts" eventually charged 200000
killall -q httpd sleep nc
wait $server 2> /dev/null
check "they go with it" eventually is pending 0

# Everything of a namespace is its own, and goes with it, handshakes and all.
cat > /tmp/namespace.sh <<'INNER'
. ./lib.sh
mount -t proc proc /proc
ip link set lo up
check "another namespace has no configuration" says "no configuration" ./ttls ctl list
check "nor can a server there be put behind TLS" not ./ttls ctl run -- httpd -f -p 443 -h /tmp/www
check "it takes one of its own" ./ttls ctl load --config patient.toml
./ttls ctl run -- httpd -f -p 443 -h /tmp/www &
check "a server in it listens" eventually is listeners 1
check "and answers" gives_page fetch https://one.example/index.html
for n in 1 2 3 4 5 6 7 8; do
    sleep 1000 | nc 127.0.0.1 443 &
done
check "silent clients are pending" eventually is pending 8
exit $failed
INNER
# As the first process of its own PID namespace: with it, all of them end, and the network namespace is torn down.
unshare -n -p -m -f sh /tmp/namespace.sh
failed=$((failed + $?))
check "this namespace still serves" gives_page fetch https://one.example/index.html
check "back to less patience" ./ttls ctl load --config ttls.toml
