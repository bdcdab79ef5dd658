# SPDX-License-Identifier: MIT OR Apache-2.0
# What makes a server ask how much it can read: requests that are longer than its buffer, or several in one record. nginx has
# a buffer of 1 KiB for headers, and asks by FIONREAD whether there is more behind what filled it.

check "a configuration with more patience" ./ttls ctl load --config patient.toml
mkdir -p /tmp/requests/cgi-bin
users
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\nexec cat\n' > /tmp/requests/cgi-bin/echo
chmod +x /tmp/requests/cgi-bin/echo
printf '#!/bin/sh\nwhile read -r line && [ "$line" != "$(printf "\\r")" ]; do :; done\nprintf "HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n"\nexec cat\n' > /tmp/requests/upgrade
chmod +x /tmp/requests/upgrade
cat > /tmp/requests/nginx.conf <<'END'
daemon off;
user root;
pid /tmp/requests/nginx.pid;
error_log /tmp/requests/error.log;
worker_processes 1;
events { worker_connections 500; }
http {
    access_log off;
    client_body_temp_path /tmp/requests/a;
    proxy_temp_path /tmp/requests/b;
    fastcgi_temp_path /tmp/requests/c;
    uwsgi_temp_path /tmp/requests/d;
    scgi_temp_path /tmp/requests/e;
    large_client_header_buffers 4 64k;
    client_max_body_size 0;
    keepalive_requests 10000;
    server {
        listen 8450;
        location /header { return 200 "$http_x_long"; }
        location /count { return 200 "counted\n"; }
        location /buffered/ { proxy_pass http://127.0.0.1:8451/cgi-bin/; }
        location /passed/ { proxy_pass http://127.0.0.1:8451/cgi-bin/; proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off; }
        location /upgrade {
            proxy_pass http://127.0.0.1:8452;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }
    }
}
END
httpd -f -p 8451 -h /tmp/requests &
nc -ll -p 8452 -e /tmp/requests/upgrade &
./ttls ctl run -- nginx -e /tmp/requests/error.log -c /tmp/requests/nginx.conf &
check "nginx starts behind TLS" eventually is listeners 1

ask() { curl -sS --max-time 100 --cacert /test/ca.pem --resolve one.example:8450:127.0.0.1 "$@"; }
text() { head -c $(($1 * 3 / 4)) /dev/urandom | base64 | tr -d '\n' | head -c "$1"; }
long_header() {
    { printf 'X-Long: '; text "$1"; } > /tmp/header
    ask -H @/tmp/header $2 https://one.example:8450/header > /tmp/said
    [ "X-Long: $(cat /tmp/said)" = "$(cat /tmp/header)" ]
}
body() {
    head -c "$1" /dev/urandom > /tmp/body
    ask --data-binary @/tmp/body -H "Expect:" $3 "https://one.example:8450/$2/echo" | cmp - /tmp/body
}
for version in 1.2 1.3; do
    for length in 900 1100 3000 16000 40000; do
        check "a header of $length bytes, TLS $version" long_header $length "--tls-max $version"
    done
    for length in 1 1000 1500 20000 1000000; do
        check "a body of $length bytes, TLS $version" body $length buffered "--tls-max $version"
        check "a body of $length bytes, passed on as it comes, TLS $version" body $length passed "--tls-max $version"
    done
done
requests() {
    n=0
    while [ $n -lt "$1" ]; do
        n=$((n + 1))
        printf 'GET /count HTTP/1.1\r\nHost: one.example\r\nX-Fill: %s\r\n\r\n' "$(text $((n * 37 % 700 + 4)))"
    done
    printf 'GET /count HTTP/1.1\r\nHost: one.example\r\nConnection: close\r\n\r\n'
}
pipelined() {
    requests "$1" > /tmp/pipelined
    # The client's end of input is not to come before the server's.
    touch /tmp/open
    [ "$({ cat /tmp/pipelined; while [ -e /tmp/open ]; do sleep 0.2; done; } |
        { timeout 150 openssl s_client -connect 127.0.0.1:8450 -quiet $2 2> /dev/null; rm /tmp/open; } | grep -c '^counted')" = $(($1 + 1)) ]
}
for option in -tls1_2 -tls1_3; do
    check "three requests at a time, openssl $option" pipelined 3 $option
    check "a hundred requests at a time, openssl $option" pipelined 100 $option
done
check "POSTs on one connection" sh -c "text() { head -c \$1 /dev/zero | tr '\\\\0' x; }; text 5000 > /tmp/body; \
    [ \"\$(curl -sS --max-time 100 --cacert /test/ca.pem --resolve one.example:8450:127.0.0.1 --data-binary @/tmp/body \
    'https://one.example:8450/buffered/echo?[1-10]' | wc -c)\" = 50000 ]"
# Messages of all lengths, both ways, on a connection that is no HTTP any more.
echoed() { sed '1,/^\r$/d' /tmp/echo | cmp - /tmp/messages; }
upgraded() {
    for length in 100 1500 5000 20000 900 60000; do
        text $length
        echo
    done > /tmp/messages
    : > /tmp/echo
    {
        printf 'GET /upgrade HTTP/1.1\r\nHost: one.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
        sleep 1
        while read -r message; do
            echo "$message"
            sleep 0.3
        done < /tmp/messages
        eventually echoed
        # Its end of input alone does not end it.
        killall openssl
    } | timeout 150 openssl s_client -connect 127.0.0.1:8450 -quiet $1 > /tmp/echo 2> /dev/null
    echoed
}
for option in -tls1_2 -tls1_3; do
    check "messages of a WebSocket's kind, openssl $option" upgraded $option
done
killall -q nginx httpd nc
wait
check "nothing is left of nginx" eventually is listeners 0
