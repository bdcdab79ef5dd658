# SPDX-License-Identifier: MIT OR Apache-2.0
# What the module must do, seen from the guest: `ok` or `FAIL` and a sentence, line by line.

failed=0
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
not() { ! "$@"; }
says() { pattern=$1; shift; "$@" < /dev/null 2>&1 | tee /tmp/said | grep -q -e "$pattern" || { cat /tmp/said; false; }; }
counter() { ./ttls ctl stats | awk -v name="$1" '$1 == name { print $2 }'; }
is() { value=$(counter "$1"); [ "$value" = "$2" ] || { echo "$1 is $value, not $2"; false; }; }
eventually() { for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "$@" && return; sleep 0.25; done; "$@"; }
fetch() { curl -sS --max-time 20 --cacert /test/ca.pem --resolve one.example:443:127.0.0.1 --resolve one.example:8443:127.0.0.1 "$@"; }
client() { { cat; sleep 1; } | timeout 20 openssl s_client -connect 127.0.0.1:443 -CAfile /test/ca.pem "$@"; }
get() { printf 'GET /index.html HTTP/1.0\r\n\r\n' | client -quiet -servername one.example "$@" 2> /dev/null; }
gives_page() { "$@" | grep -q 'plain server' ; }

echo "kernel $(uname -r)"
echo "guest tests begin" > /dev/kmsg
check "the module loads" insmod ./ttls.ko
check "there is no configuration yet" says "no configuration" ./ttls ctl list
check "a wrong key is refused with a reason" says "does not belong" ./ttls ctl load --config wrong.toml
check "a configuration loads" ./ttls ctl load --config ttls.toml
check "its names are listed" says "certificate one.example" ./ttls ctl list

mkdir -p /tmp/www
echo "a page of a plain server" > /tmp/www/index.html
head -c 20000000 /dev/urandom > /tmp/www/large
httpd -f -p 443 -h /tmp/www &
server=$!
sleep 0.5
check "a running server is put behind TLS" ./ttls ctl attach --pid $server --port 443
check "the module stays while it is used" not rmmod ttls

for version in 1.2 1.3; do
    check "curl fetches a page by TLS $version" gives_page fetch --tlsv$version --tls-max $version https://one.example/index.html
done
for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
    check "TLS 1.3 with $suite" gives_page get -tls1_3 -ciphersuites $suite
done
for suite in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 \
    ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305; do
    check "TLS 1.2 with $suite" gives_page get -tls1_2 -cipher $suite
done
for group in X25519 P-256; do
    check "TLS 1.3 with group $group" gives_page get -tls1_3 -groups $group
    check "TLS 1.2 with group $group" gives_page get -tls1_2 -groups $group
done
check "a retry for another group" gives_page get -tls1_3 -groups P-384:P-256
for version in tls1_2 tls1_3; do
    check "$version: a session begins" says "Verify return code: 0" client -$version -servername one.example -sess_out /tmp/session
    check "$version: and is resumed" says "^Reused" client -$version -servername one.example -sess_in /tmp/session
done
check "an unknown protocol version is refused with an alert" says "alert protocol version" client -tls1_1 -cipher ALL:@SECLEVEL=0

check "20 MB arrive intact" sh -c '[ "$(curl -sS --max-time 100 --cacert ca.pem --resolve one.example:443:127.0.0.1 https://one.example/large | sha256sum | cut -c1-64)" = "$(sha256sum < /tmp/www/large | cut -c1-64)" ]'

check "handshakes were counted" sh -c "[ $(counter full) -ge 17 ] && [ $(counter resumed) -ge 2 ]"
kill $server
wait $server 2> /dev/null
check "nothing is left of the server" eventually is contexts 0

# A peer that misbehaves, and a server that looks into its socket.
./peer
[ $? -eq 0 ] || failed=$((failed + 1))

for name in listeners pending contexts connections contained_panics failed_local; do
    check "$name is zero at the end" eventually is $name 0
done
./ttls ctl stats | tr '\n' ' '
echo
check "the configuration is removed" ./ttls ctl remove
check "the module unloads" eventually rmmod ttls
dmesg > /tmp/log
sed -i "1,/guest tests begin/d" /tmp/log
check "the kernel has nothing to complain about" not grep -E -A 20 'BUG:|WARNING:|Oops|Call Trace|leak|INFO:|stall|optmem|contained a panic|kTLS refuses' /tmp/log
check "every line of the module's log is expected" not grep -E 'ttls: (self|the Rust)' /tmp/log
check "it loads and unloads again" sh -c 'insmod ./ttls.ko && rmmod ttls'
echo "guest: $failed failed"
