# An upgrade of the package under load, one to a program that does not start, and what a restart does instead.

# The executable that a process runs; another file has taken its place since, if it says so.
program() {
    readlink "/proc/$1/exe"
}
new_program() {
    [ "$(program "$(property MainPID)")" = /usr/bin/ttls ] && fails is MainPID "$1"
}

check "it serves" page first
old=$(property MainPID)
hold
check "a connection is open" ask
clients
check "the package is upgraded" dpkg -i next/ttls.deb
check "the new program serves" new_program "$old"
check "the old one drains" test "$(program "$old")" = "/usr/bin/ttls (deleted)"
check "the open connection goes on" ask
sleep 2
enough
# Lost may be who was slower than the retirement of the old sockets, in an emulator: that is a matter of time.
check "of the connections made meanwhile, none was refused" none_refused
check "the unit is active" is ActiveState active
check "metrics are the new program's" eventually metrics_count handshakes_total

# The old one is the parent of the new one, and systemd is not.
check "the new program is killed while the old one drains" kill_main
check "systemd starts it again" eventually page first
release

old=$(property MainPID)
hold
check "a second upgrade" systemctl kill --kill-whom=main -s USR2 ttls
check "has a new program serve" eventually new_program "$old"
check "the old one drains, even if it hears that the service stops" kill "$old"
check "the open connection goes on" ask
release
check "the old one ends when its last connection does" eventually fails test -e "/proc/$old"
check "the new program is killed when it is alone" kill_main
check "systemd starts it again" eventually page first

old=$(property MainPID)
clients
says_so() {
    dpkg -i broken/ttls.deb 2>&1 | grep 'the old program still serves'
}
check "an upgrade to a program that does not start says so" says_so
check "the journal tells why" journal_says 'event=upgrade.*the old program goes on'
enough
check "the old program serves on" none_lost
check "as before" is MainPID "$old"
check "the next upgrade mends it" dpkg -i next/ttls.deb
check "with a new program" new_program "$old"

# The limit: a restart is a stop, then a start. And a stop drains, also after an upgrade.
hold
check "a connection is open" ask
systemctl restart ttls &
restart=$!
check "at a restart new connections are refused" eventually refused
check "the open one goes on" ask
release
wait "$restart"
check "until the old ones have ended" test $? -eq 0
check "then it serves again" page first
