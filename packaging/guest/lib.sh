# What the guest's tests have in common.

# Repeats a command until it succeeds, for as long as a slow emulator may need.
eventually() {
    for _ in {1..100}; do
        "$@" > /dev/null 2>&1 && return
        sleep 0.3
    done
    "$@"
}

property() {
    systemctl show --property "$1" --value "${2:-ttls}.service"
}

# Without a main process MainPID is 0, and `kill 0` would end the tests.
kill_main() {
    local pid
    pid=$(property MainPID)
    [ "$pid" -gt 0 ] && kill -9 "$pid"
}

is() {
    local value
    value=$(property "$1" "${3:-ttls}")
    [ "$value" = "$2" ] || { echo "$1 is $value, not $2"; return 1; }
}

journal() {
    journalctl -b -u "${1:-ttls}" -o cat
}
journal_has() {
    journal "${2:-}" | grep -e "$1" > /dev/null
}
journal_says() {
    eventually journal_has "$@" || { journal "${2:-}" | tail -n 20; return 1; }
}

metrics_count() {
    curl -s http://127.0.0.1:9443/metrics | grep -E "^ttls_$1[{ ].* [1-9]" > /dev/null
}

# page CERTIFICATE: the backend's page by TLS, from a server with this certificate.
page() {
    curl -sS --max-time 30 --cacert "/etc/ttls/$1.pem" --resolve one.example:443:127.0.0.1 https://one.example/ | grep -q 'a plain page'
}

# The error of a client that is refused.
refused() {
    curl -s --max-time 5 https://127.0.0.1/
    [ $? -eq 7 ]
}

# One connection that stays open: `hold` begins it, `ask` fetches a page over it, `release` ends it.
hold() {
    rm -f /tmp/to /tmp/from
    mkfifo /tmp/to /tmp/from
    openssl s_client -quiet -connect 127.0.0.1:443 -servername one.example < /tmp/to > /tmp/from 2> /dev/null &
    held=$!
    exec 7> /tmp/to 8< /tmp/from
}
ask() {
    local line
    printf 'GET / HTTP/1.1\r\nHost: one.example\r\n\r\n' >&7 || return
    while IFS= read -r -t 30 -u 8 line; do
        [[ $line != *'a plain page'* ]] || return 0
    done
    return 1
}
release() {
    kill "$held" 2> /dev/null
    wait "$held" 2> /dev/null
    exec 7>&- 8<&-
}

# Clients that fetch pages one after the other: `clients` sends them, `enough` calls them back.
clients() {
    rm -f /tmp/enough
    for outcome in served refused lost; do
        : > "/tmp/$outcome"
    done
    crowd=()
    for _ in 1 2 3; do
        while [ ! -e /tmp/enough ]; do
            said=$(curl -sS -k --max-time 30 https://127.0.0.1/ 2>&1)
            case $?/$said in
                0/*'a plain page'*) echo "$said" >> /tmp/served ;;
                7/*) echo "$said" >> /tmp/refused ;;
                *) echo "$said" >> /tmp/lost ;;
            esac
        done &
        crowd+=($!)
    done
    eventually test -s /tmp/served
}
enough() {
    touch /tmp/enough
    wait "${crowd[@]}"
    echo "      $(wc -l < /tmp/served) connections served, $(wc -l < /tmp/refused) refused, $(wc -l < /tmp/lost) lost"
    sed 's/^/        /' /tmp/lost
}
none_refused() {
    [ -s /tmp/served ] && [ ! -s /tmp/refused ]
}
none_lost() {
    none_refused && [ ! -s /tmp/lost ]
}
