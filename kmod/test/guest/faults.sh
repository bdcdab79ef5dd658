# SPDX-License-Identifier: MIT OR Apache-2.0
# Memory that runs short, in the debug kernel only.

openssl x509 -in ecdsa.pem -outform DER -out /tmp/chain.der
openssl pkcs8 -topk8 -nocrypt -in ecdsa.key -outform DER -out /tmp/key.der
for kind in calls softirq; do
    ./faults $kind
    [ $? -eq 0 ] || failed=$((failed + 1))
done
tail -n 12 /tmp/bench
check "connections were refused for lack of memory" sh -c "[ $(counter refused) -gt 0 ]"
for name in listeners pending contexts connections contained_panics; do
    check "$name is zero after the shortage" eventually is $name 0
done
check "the configuration loads again" ./ttls ctl load --config ttls.toml
./ttls ctl run -- httpd -f -p 443 -h /tmp/www &
server=$!
check "a server starts behind TLS" eventually is listeners 1
for version in 1.2 1.3; do
    check "and gives a page by TLS $version" gives_page fetch --tlsv$version --tls-max $version https://one.example/index.html
done
killall -q httpd
wait $server 2> /dev/null
