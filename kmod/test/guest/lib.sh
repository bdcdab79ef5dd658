# SPDX-License-Identifier: MIT OR Apache-2.0
# How the guest's tests check and report: `ok` or `FAIL` and a sentence, line by line.

failed=0
# Megabytes to transfer, and clients at a time. The debug kernel is slow, and Bochs slower.
large=100
crowd=1000
if [ -n "$LANES" ]; then
    large=1
    crowd=64
fi
if [ -e /sys/kernel/debug/failslab ]; then
    large=10
    crowd=200
fi
check() {
    sentence=$1
    shift
    if "$@" > /tmp/output 2>&1; then
        echo "ok   $sentence"
    else
        failed=$((failed + 1))
        echo "FAIL $sentence ($*)"
        tail -n 12 /tmp/output | sed 's/^/     | /'
    fi
}
seconds() { cut -d . -f 1 /proc/uptime; }
# Runs a file of tests, and tells how long it took.
part() {
    eval "begun_$1=$(seconds)"
    . ./$1.sh
    eval "echo \"     $1 took \$((\$(seconds) - begun_$1)) s\""
}
not() { ! "$@"; }
says() { pattern=$1; shift; "$@" < /dev/null 2>&1 | tee /tmp/said | grep -q -e "$pattern" || { cat /tmp/said; false; }; }
counter() { ./ttls ctl stats | awk -v name="$1" '$1 == name { print $2 }'; }
is() { value=$(counter "$1"); [ "$value" = "$2" ] || { echo "$1 is $value, not $2"; false; }; }
# With the patience of a machine that is busy with other things.
eventually() { for _ in $(seq 400); do "$@" && return; sleep 0.25; done; "$@"; }
listens() { grep -q ":$(printf %04X "$1") [0-9A-F]*:0000 0A" /proc/net/tcp /proc/net/tcp6; }
fetch() { curl -sS --max-time 200 --cacert /test/ca.pem --resolve one.example:443:127.0.0.1 --resolve one.example:8443:127.0.0.1 "$@"; }
client() { { cat; sleep 1; } | timeout 150 openssl s_client -connect 127.0.0.1:443 -CAfile /test/ca.pem "$@"; }
get() { printf 'GET /index.html HTTP/1.0\r\n\r\n' | client -quiet -servername one.example "$@" 2> /dev/null; }
gives_page() { "$@" | grep -q 'plain server' ; }
# A command that compares what curl fetches from there with the file of 100 MB.
identical() { echo "curl -sS --max-time 200 --cacert /test/ca.pem --resolve one.example:443:127.0.0.1 $1 | cmp - /tmp/www/large"; }
# nginx asks who its user is.
users() {
    printf 'root:x:0:0::/:/bin/sh\n' > /etc/passwd
    printf 'root:x:0:\n' > /etc/group
}
