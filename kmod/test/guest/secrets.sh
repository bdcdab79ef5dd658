# SPDX-License-Identifier: MIT OR Apache-2.0
# A server behind the module has neither the private key nor traffic secrets in its memory, nor in a core dump; the same
# search finds both in nginx with OpenSSL, so it would find them here. nginx runs.

key=$(openssl ec -in ecdsa.key -noout -text 2> /dev/null | sed -n '/priv:/,/pub:/p' | grep -v : | tr -d ' :\n'; \
    openssl ec -in ecdsa.key -noout -text 2> /dev/null | sed -n '/priv:/,/pub:/p' | grep '^ ' | tr -d ' :\n')
key=$(echo "$key" | tail -c 65 | head -c 64)
check "the private key is read from its file" [ ${#key} = 64 ]

# hold PORT: opens a connection, waits for an answer on it, and leaves it open; its traffic secrets go to /tmp/keylog.
hold() {
    rm -f /tmp/keylog /tmp/held
    { printf 'GET /index.html HTTP/1.1\r\nHost: one.example\r\n\r\n'; sleep 60; } |
        openssl s_client -connect 127.0.0.1:$1 -quiet -servername one.example -keylogfile /tmp/keylog > /tmp/held 2> /dev/null &
    eventually grep -q "plain server" /tmp/held
    secrets=$(awk '/TRAFFIC_SECRET_0/ { print $3 }' /tmp/keylog)
    check "a connection is open, and its two traffic secrets are known" [ "$(echo "$secrets" | wc -w)" = 2 ]
}
finds() { expected=$1; shift; ./seek "$@"; [ $? = $expected ]; }

hold 443
worker=$(nginx_worker)
check "the server's memory has neither the key nor a traffic secret" finds 1 "$worker" "$key" $secrets
echo '/tmp/nginx/core' > /proc/sys/kernel/core_pattern
echo 0 > /proc/sys/kernel/core_uses_pid
kill -ABRT "$worker"
check "it leaves a core dump" eventually test -s /tmp/nginx/core
eventually not kill -0 "$worker"
check "nor has its core dump" finds 1 /tmp/nginx/core "$key" $secrets
kill $nginx
wait $nginx 2> /dev/null
killall -q nginx openssl
rm -f /tmp/nginx/core

sed -e '/listen \[/d' -e 's/listen 443.*/listen 8444 ssl; ssl_protocols TLSv1.3; ssl_certificate \/test\/ecdsa.pem; ssl_certificate_key \/test\/ecdsa.key;/' \
    /tmp/nginx/http.conf > /tmp/nginx/https.conf
eventually not nginx_worker > /dev/null
nginx -e /tmp/nginx/error.log -c /tmp/nginx/https.conf &
nginx=$!
eventually nginx_worker > /dev/null
hold 8444
check "the same search finds all three in nginx with OpenSSL" finds 0 "$(nginx_worker)" "$key" $secrets
kill $nginx
wait $nginx 2> /dev/null
killall -q nginx openssl
check "nothing is left of nginx" eventually is contexts 0
