# SPDX-License-Identifier: MIT OR Apache-2.0
# Who may load a configuration, and what that costs others.

parameter=/sys/module/ttls/parameters/user_namespace_certificates
printf '[[certificate]]\nchain = "ecdsa.pem"\nkey = "ecdsa.key"\n' > one.toml
in_user_namespace() { unshare -U -r -n "$@"; }
check "an administrator of a user namespace loads nothing" says "in the initial user namespace is needed" \
    in_user_namespace ./ttls ctl load --config one.toml
check "and removes nothing" says "in the initial user namespace is needed" in_user_namespace ./ttls ctl remove
check "but may ask for statistics" says "^listeners 0" in_user_namespace ./ttls ctl stats
echo 1 > $parameter
cat > /tmp/user.sh <<'INNER'
./ttls ctl load --config one.toml && ./ttls ctl list && ./ttls ctl load --config ttls.toml
INNER
in_user_namespace sh /tmp/user.sh > /tmp/user 2>&1
check "with leave to load one certificate it does" says "certificate one.example" cat /tmp/user
check "not two" says "more certificates than this sender may load" cat /tmp/user
check "and has room for 256 handshakes at most" says "^max_pending 256$" cat /tmp/user
echo 0 > $parameter
check "here the configuration is what it was" says "^max_pending 8192$" ./ttls ctl list
check "and a listener leaves half of it to others" says "^max_pending_listener 4096$" ./ttls ctl list

openssl x509 -in rsa4096.pem -outform DER -out /tmp/chain.der
openssl pkcs8 -topk8 -nocrypt -in rsa4096.key -outform DER -out /tmp/key.der
./keys /tmp/chain.der /tmp/key.der 24
[ $? -eq 0 ] || failed=$((failed + 1))
check "the usual configuration is back" ./ttls ctl load --config ttls.toml
