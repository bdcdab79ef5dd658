# SPDX-License-Identifier: MIT OR Apache-2.0
# Batches in the module's lanes: many clients of every kind at a time, whose answers are checked. nginx runs.

check "the module computes in lanes" says "ttls: public-key work runs in lanes of AVX-512 IFMA" dmesg
# There is one CPU. With real-time priority the clients send all they have before a worker comes round.
batches=$(counter batches) batched=$(counter batched)
for tls in 1.3 1.2; do
    for signature in ecdsa rsa; do
        for group in x25519 secp256r1; do
            check "64 handshakes, 32 at a time: TLS $tls, $signature, $group" ./chrt -f 1 ./ttls-load --verify 1 --name one.example \
                --tls $tls --signature $signature --group $group --connections 32 --count 64 --seconds 200 --timeout 60 127.0.0.1:443
        done
    done
done
check "64 handshakes by X25519MLKEM768" ./chrt -f 1 ./ttls-load --verify 1 --name one.example --group x25519mlkem768 \
    --connections 32 --count 64 --seconds 200 --timeout 60 127.0.0.1:443
batches=$(($(counter batches) - batches)) batched=$(($(counter batched) - batched))
check "they are computed together: $batched in $batches batches" [ $batched -ge $((4 * batches)) ]
