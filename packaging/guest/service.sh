# ttls.service, from its first start to its end. Leaves it running.

certificate() {
    openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 90 -subj "/CN=$1" \
        -addext subjectAltName=DNS:one.example -keyout "/etc/ttls/$1.key" -out "/etc/ttls/$1.pem" 2> /dev/null
    chgrp ssl-cert "/etc/ttls/$1.key"
    chmod 640 "/etc/ttls/$1.key"
}
configuration() {
    cat > /etc/ttls/ttls.toml <<END
listen = ["0.0.0.0:443"]
backend = "127.0.0.1:8080"
[[certificate]]
chain = "$1.pem"
key = "$1.key"
[metrics]
listen = "127.0.0.1:9443"
END
}

check "the first process is systemd" grep -q -x systemd /proc/1/comm
check "without a configuration the unit is enabled" systemctl --quiet is-enabled ttls
check "and was passed over at boot" is ConditionResult no
check "and has not failed" is ActiveState inactive

# The backend.
echo "a plain page" > /var/www/html/index.html
cat > /etc/nginx/sites-available/default <<'END'
server {
    listen 127.0.0.1:8080;
    root /var/www/html;
    keepalive_timeout 3600s;
}
END
check "a backend starts" systemctl restart nginx
certificate first
certificate second

# Refusals.
refuses_to_start() {
    ! timeout 60 systemctl start ttls && is ActiveState failed && is NRestarts 0
}
configuration first
sed -i s/listen/lisssten/ /etc/ttls/ttls.toml
check "with a mistake in the configuration it does not start, at once" refuses_to_start
check "the journal says what and where" journal_says '/etc/ttls/ttls.toml:1.*lisssten'
configuration first
chmod 600 /etc/ttls/first.key
check "with a key that only root may read it does not start" refuses_to_start
check "the journal names the key" journal_says 'first.key.*[Pp]ermission denied'
chmod 640 /etc/ttls/first.key

# It runs as promised.
check "with a good configuration it starts" systemctl start ttls
check "and serves from that moment on" page first
runs() {
    is ActiveState active && is SubState running && is Type notify
}
check "its state is active (running), and it has said so itself" runs
pid=$(property MainPID)
status() {
    grep -q -P "^$1:\t$2\$" "/proc/$pid/status" || { grep "^$1" "/proc/$pid/status"; return 1; }
}
check "its user is one that systemd made" status Uid '6[1-5]\d\d\d\t.*'
check "its only capability is CAP_NET_BIND_SERVICE" status CapEff 0000000000000400
check "system calls are filtered" status Seccomp 2
check "and there is no way to more rights" status NoNewPrivs 1
check "it can not write to /etc, even as its own" grep -q -E '^\S+ / \S+ ro[, ]' "/proc/$pid/mounts"
check "its metrics count the connection" eventually metrics_count handshakes_total
check "its log is in the journal" journal_says 'server_name=one.example .*result=ok'
check "systemd-analyze security is at most 2.0" systemd-analyze security --threshold=20 ttls.service
echo "      $(systemd-analyze security ttls.service | tail -n 1)"

# Reload.
hold
check "a connection is open" ask
echo 'listen = 5' > /etc/ttls/ttls.toml
check "a reload with a mistake fails" fails systemctl reload ttls
check "the journal says why" journal_says '/etc/ttls/ttls.toml:1.*listen'
check "the old configuration serves on" page first
configuration second
check "a reload with another certificate succeeds" systemctl reload ttls
check "new connections get it" eventually page second
check "the open connection goes on" ask
check "the process is the same" is MainPID "$pid"

# Crash.
release
check "it is killed" kill -9 "$pid"
check "systemd starts it again" eventually page second
check "for the first time" is NRestarts 1

# Stop.
hold
check "a connection is open" ask
systemctl stop ttls &
stop=$!
check "at a stop, new connections are refused" eventually refused
check "the open one goes on" ask
check "for as long as it is open" is ActiveState deactivating
release
wait "$stop"
check "then the stop succeeds" test $? -eq 0
check "the unit is inactive" is ActiveState inactive
check "and has not failed" is Result success

# A log in a file, as ttls(8) says.
mkdir -p /etc/systemd/system/ttls.service.d
printf '[Service]\nLogsDirectory=ttls\n' > /etc/systemd/system/ttls.service.d/log.conf
systemctl daemon-reload
printf '[log]\nfile = "/var/log/ttls/ttls.log"\n' >> /etc/ttls/ttls.toml
check "it starts with a log in a file" systemctl start ttls
check "and serves" page second
check "and logs there" eventually grep -q 'server_name=one.example .*result=ok' /var/log/ttls/ttls.log
rm -r /etc/systemd/system/ttls.service.d
systemctl daemon-reload
configuration first
check "and without it again" systemctl restart ttls
