# The module loads by itself, and a server unit of Debian's own uses it.

set_option() {
    "${@:2}" python3 - "$1" <<'END'
import errno, socket, sys
server = socket.create_server(("127.0.0.1", 0))
try:
    server.setsockopt(socket.IPPROTO_TCP, 31, b"ttls")
    said = "OK"
except OSError as error:
    said = errno.errorcode[error.errno]
print(said)
sys.exit(said != sys.argv[1])
END
}
nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
loaded() {
    grep -q '^ttls ' /proc/modules
}
counter() {
    ttls ctl stats | awk -v name="$1" '$1 == name { print $2 }'
}
counts() {
    [ "$(counter "$1")" -gt 0 ]
}

check "the service stops" systemctl stop ttls
check "the module is not loaded" fails loaded
check "the socket option does not load it for just anybody" set_option ENOENT "${nobody[@]}"
check "it is not loaded" fails loaded
check "the socket option loads it for root, and asks for a configuration" set_option ENOKEY
check "it is loaded" loaded
check "just anybody may not put a port above 1023 behind TLS" set_option EPERM "${nobody[@]}"
check "it unloads" rmmod ttls
check "the first ttls ctl loads it, even for just anybody" "${nobody[@]}" ttls ctl stats
check "it is loaded" loaded
check "a reader that leaves early is no fault" bash -c 'set -o pipefail; for i in {1..20}; do ttls ctl stats | grep -q listeners || exit; done'
check "nobody loads a configuration but root" fails "${nobody[@]}" ttls ctl load --config /etc/ttls/ttls.toml
check "it unloads" rmmod ttls

# nginx behind it, by the lines of docs/kernel.md. The file is one of `ttls serve`, whose other keys are passed over.
cp /etc/ttls/ttls.toml /etc/ttls/kernel.toml
mkdir -p /etc/systemd/system/nginx.service.d
cp drop-in.conf /etc/systemd/system/nginx.service.d/ttls.conf
systemctl daemon-reload
sed -i 's/127.0.0.1:8080/443/' /etc/nginx/sites-available/default
check "nginx starts behind the module" systemctl restart nginx
check "which its unit has loaded" loaded
check "and gives its page by TLS" page first
check "with handshakes in the kernel" counts full
check "nginx reloads" systemctl reload nginx
check "and gives its page by TLS" eventually page first
check "nginx restarts" systemctl restart nginx
check "and gives its page by TLS" page first
check "nginx stops" systemctl stop nginx
check "nothing holds the module any more" eventually rmmod ttls
# Without certificates the server must not serve in plain text.
rm /etc/ttls/kernel.toml
check "without a configuration for the module, nginx does not start" fails systemctl start nginx
check "its journal says why" journal_says '/etc/ttls/kernel.toml' nginx
