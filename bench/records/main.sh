# SPDX-License-Identifier: MIT OR Apache-2.0
# Runs in the guest, by kmod/test/init: puts the client behind a cable with a delay and a rate, starts the servers, and prints
# when what of a download can be used. Time is made of instructions here, one to the nanosecond, and waiting takes none.

set -eu
echo "bench: begin"
insmod ./veth.ko
modprobe sch_netem
insmod ./ttls.ko

# As for bench/kernel: each end receives in a thread of its own, so that the scheduler's account tells them apart. Segments
# leave one by one, as they do on a wire: netem would let a train of them arrive at once.
ip link add srv type veth
ip link set veth0 name cli
for end in srv cli; do
    ip link set $end up
    ./ethtool -K $end tso off gso off gro on
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
# Each connection begins without what TCP remembers of those before.
echo 1 > /proc/sys/net/ipv4/tcp_no_metrics_save

MB=1000000
config() { printf 'listen = ["10.0.0.1:%s"]\nbackend = "static:%s"\nworkers = 1\n[[certificate]]\nchain = "cert.pem"\nkey = "cert.key"\n' $1 $2 > /tmp/$1.toml; }
printf '[[certificate]]\nchain = "cert.pem"\nkey = "cert.key"\n' > kernel.toml
./ttls ctl load --config kernel.toml
# At each port, and at the next, twice as much.
for n in 1 2; do
    config 44$n $((n * MB))
    ./ttls serve --config /tmp/44$n.toml > /dev/null 2>&1 &
    ./ttls ctl run -- ./server 45$n $((n * MB)) &
    ./server 46$n $((n * MB)) 16384 16384 &
    ./server 47$n $((n * MB)) 4096 4096 &
    ./server 48$n $((n * MB)) 1369 16384 &
done
sleep 15

# Instructions so far, of the servers, of what receives for them, and of the kernel's threads: not of the client's.
spent() {
    for task in /proc/[0-9]*; do
        { read -r name < $task/comm && read -r ns rest < $task/schedstat && echo "$name $ns"; } 2> /dev/null || true
    done | awk '/^napi\/cli/ || /^(init|sh|awk|sleep|unshare|client) / { next } { sum += $2 } END { printf "%.0f", sum }'
}

# measure RTT MBIT LOSS WINDOW
measure() {
    tc="./tc qdisc replace dev"
    $tc srv root netem delay $(($1 * 500))us rate $2mbit loss $3% limit 10000
    there $tc cli root netem delay $(($1 * 500))us limit 10000
    for variant in 44:user 45:module 46:fixed-16k 47:fixed-4k 48:1369-then-16k; do
        port=${variant%:*}
        before=$(spent)
        one=$(there ./client 10.0.0.1 ${port}1 $4)
        between=$(spent)
        two=$(there ./client 10.0.0.1 ${port}2 $4)
        echo "row: ${variant#*:} $(uname -r) $1 $2 $3 $4 $before $between $(spent) $one"
    done
}

for rtt in 5 50 150; do
    for mbit in 10 100; do
        measure $rtt $mbit 0 0
    done
    measure $rtt 100 0 4096
done
[ "$(./ttls ctl stats | awk '$1 == "contained_panics" { print $2 }')" = 0 ]
echo "bench: done"
