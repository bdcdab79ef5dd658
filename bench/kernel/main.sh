# SPDX-License-Identifier: MIT OR Apache-2.0
# Runs in the guest, by kmod/test/init: puts the client behind a cable of its own, starts the servers, and prints what each
# case cost them, one connection after the other. Time is made of instructions here, one to the nanosecond.

set -eu
echo "bench: begin"
insmod ./veth.ko
insmod ./ttls.ko

# The two ends of the cable receive in a kernel thread each. Nothing that one side has to do is then done by a
# task of the other, as it would be on loopback, and the scheduler's account tells them apart.
ip link add srv type veth
ip link set veth0 name cli
for end in srv cli; do
    ip link set $end up
    ./ethtool -K $end tso off gro on
    echo 1 > /sys/class/net/$end/threaded
done
ip address add 10.0.0.1/24 dev srv
unshare -n sleep 1000000 &
client=$!
sleep 1
ip link set cli netns $client
there() { nsenter -t $client -n "$@"; }
there ip address add 10.0.0.2/24 dev cli
there ip link set cli up

mkdir -p /tmp/www /tmp/nginx
head -c 1024 /dev/zero | tr '\0' x > /tmp/www/index.html
printf 'root:x:0:0::/:/bin/sh\n' > /etc/passwd
printf 'root:x:0:\n' > /etc/group
nginx_conf() {
    cat > /tmp/nginx/$1.conf <<INNER
daemon off;
user root;
pid /tmp/nginx/$1.pid;
error_log /tmp/nginx/error.log;
worker_processes 1;
events { worker_connections 1024; multi_accept on; }
http {
    access_log off;
    server_tokens off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=10;
    client_body_temp_path /tmp/nginx/a;
    proxy_temp_path /tmp/nginx/b;
    fastcgi_temp_path /tmp/nginx/c;
    uwsgi_temp_path /tmp/nginx/d;
    scgi_temp_path /tmp/nginx/e;
    server {
        listen 10.0.0.1:$2;
        root /tmp/www;
        $3
    }
}
INNER
}
nginx_conf openssl "444 ssl deferred backlog=4096" "ssl_certificate /test/cert.pem; ssl_certificate_key /test/cert.key;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_ecdh_curve X25519:prime256v1;
    ssl_session_tickets on; ssl_session_cache off;"
nginx_conf behind "445 backlog=4096" ""
nginx_conf plain "81 deferred backlog=4096" ""
./ttls ctl load --config ttls.toml
./ttls ctl run -- ./server 443 &
./server 80 &
nginx -e /tmp/nginx/error.log -c /tmp/nginx/openssl.conf &
./ttls ctl run -- nginx -e /tmp/nginx/error.log -c /tmp/nginx/behind.conf &
nginx -e /tmp/nginx/error.log -c /tmp/nginx/plain.conf &
# Until `ttls ctl run` no longer looks for listening sockets, which would count.
sleep 15

# Instructions so far, of all tasks that live but the client's and this script's: process, receiving thread, workers,
# other kernel threads. The client's process is gone by the time it would count.
spent() {
    for task in /proc/[0-9]*; do
        { read -r name < $task/comm && read -r ns rest < $task/schedstat && echo "$name $ns"; } 2> /dev/null || true
    done | awk '
        /^napi\/cli/ || /^(init|sh|awk|sleep|unshare) / { next }
        /^nginx/ || /^server/ { process += $2; next }
        /^napi\/srv/ { receive += $2; next }
        /^kworker/ || /^ttls_worker/ { worker += $2; next }
        { other += $2 }
        END { printf "%.0f %.0f %.0f %.0f", process, receive, worker, other }'
}
load() { there ./ttls-load --connections 1 --name bench.example --mode request --seconds 100000 --timeout 1000 --json /tmp/result "$@" > /tmp/bench; }
value() { tr ',{' '\n\n' < /tmp/result | awk -F: -v name="\"$1\"" '{ gsub(/ /, "", $1) } $1 == name { print $2 + 0 }'; }

# measure CASE PEER PORT OPTION...
measure() {
    case=$1 peer=$2 port=$3
    shift 3
    load --count 32 "$@" 10.0.0.1:$port
    for round in 1 2; do
        for count in $few $((2 * few)); do
            before=$(spent)
            load --count $count "$@" 10.0.0.1:$port
            after=$(spent)
            echo "cost: $case $peer $round $count $before $after $(value operations) $(value resumed) $(value client_cpu_s)"
        done
    done
}

few=48
while read -r case options; do
    measure $case ttls 443 $options
    measure $case nginx-ttls 445 $options
    measure $case nginx 444 $options
done <<INNER
tls13-full --tls 1.3
tls13-resumed --tls 1.3 --resume
tls12-full --tls 1.2
tls12-resumed --tls 1.2 --resume
INNER
measure plain server 80 --tls none
measure plain nginx 81 --tls none
echo "versions: $(uname -r) $(nginx -v 2>&1 | sed 's/.*nginx.//') $(openssl version | cut -d' ' -f2)"
[ "$(./ttls ctl stats | awk '$1 == "contained_panics" { print $2 }')" = 0 ]
echo "bench: done"
