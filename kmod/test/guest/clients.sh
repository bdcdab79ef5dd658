# SPDX-License-Identifier: MIT OR Apache-2.0
# curl, openssl and rustls fetch from a plain-HTTP server that was put behind TLS as it ran.

# Three seconds for a handshake can pass in the guest of a busy machine.
check "a configuration with more patience" ./ttls ctl load --config patient.toml
mkdir -p /tmp/www
echo "a page of a plain server" > /tmp/www/index.html
head -c ${large}000000 /dev/urandom > /tmp/www/large
mkdir -p /tmp/www/cgi-bin
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\ncmp - /tmp/www/large && echo identical\n' > /tmp/www/cgi-bin/compare
chmod +x /tmp/www/cgi-bin/compare
httpd -f -p 443 -h /tmp/www &
server=$!
eventually listens 443
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

check "rustls fetches a page, in both versions, and resumes" sh -c './rustls-get ca.pem 127.0.0.1:443 one.example /index.html > /tmp/rustls'
check "by X25519MLKEM768" says "Some(X25519MLKEM768) Some(Full)" cat /tmp/rustls
check "a session of TLS 1.3 with it" says "Some(TLSv1_3).*Some(Resumed)" cat /tmp/rustls
check "a session of TLS 1.2 with it" says "Some(TLSv1_2).*Some(Resumed)" cat /tmp/rustls

check "$large MB arrive intact" sh -c "$(identical https://one.example/large)"
check "$large MB sent arrive intact" says identical fetch --data-binary @/tmp/www/large https://one.example/cgi-bin/compare

check "handshakes were counted" sh -c "[ $(counter full) -ge 17 ] && [ $(counter resumed) -ge 2 ]"
check "they are told as JSON" says '^{"listeners":1,.*"full":[1-9][0-9]*,.*}$' ./ttls ctl stats --json
check "and as Prometheus reads them" says 'handshakes_total{outcome="resumed"} [2-9]' ./ttls ctl metrics
kill $server
wait $server 2> /dev/null
check "nothing is left of the server" eventually is contexts 0

