# SPDX-License-Identifier: MIT OR Apache-2.0
# nginx, unmodified and configured for plain HTTP, started behind TLS; it answers with sendfile.

check "a configuration with more patience" ./ttls ctl load --config patient.toml
mkdir -p /tmp/nginx
users
cat > /tmp/nginx/http.conf <<'END'
daemon off;
user root;
pid /tmp/nginx/http.pid;
error_log /tmp/nginx/error.log;
worker_processes 1;
worker_rlimit_core 500m;
worker_rlimit_nofile 4096;
working_directory /tmp/nginx;
events { worker_connections 3000; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path /tmp/nginx/a;
    proxy_temp_path /tmp/nginx/b;
    fastcgi_temp_path /tmp/nginx/c;
    uwsgi_temp_path /tmp/nginx/d;
    scgi_temp_path /tmp/nginx/e;
    server {
        listen 443 backlog=4096 fastopen=64;
        listen [::]:443 ipv6only=on backlog=4096;
        root /tmp/www;
    }
}
END
./ttls ctl run -- nginx -e /tmp/nginx/error.log -c /tmp/nginx/http.conf &
nginx=$!
check "nginx starts behind TLS" eventually is listeners 2
nginx_worker() {
    for process in /proc/[0-9]*; do
        if grep -q "^nginx: worker" $process/cmdline 2> /dev/null; then
            echo "${process#/proc/}"
            return 0
        fi
    done
    return 1
}
eventually nginx_worker > /dev/null

for version in 1.2 1.3; do
    check "curl fetches a page of nginx by TLS $version" gives_page fetch --tlsv$version --tls-max $version https://one.example/index.html
    check "many on one connection, TLS $version" sh -c "[ \$(curl -sS --cacert ca.pem --tlsv$version --tls-max $version --resolve one.example:443:127.0.0.1 \
        'https://one.example/index.html?[1-20]' | grep -c 'plain server') = 20 ]"
done
check "openssl fetches it" gives_page get -tls1_3
check "rustls fetches it, with X25519MLKEM768" sh -c './rustls-get ca.pem 127.0.0.1:443 one.example /index.html | grep -q X25519MLKEM768'
check "$large MB by sendfile arrive intact" sh -c "$(identical https://one.example/large)"
check "$large MB by sendfile in TLS 1.2" sh -c "$(identical '--tls-max 1.2 https://one.example/large')"
