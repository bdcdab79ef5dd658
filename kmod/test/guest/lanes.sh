# SPDX-License-Identifier: MIT OR Apache-2.0
# Eight lanes in user space, on an emulated CPU that has them: see ci/test-lanes, from which the kernel's command line has
# $LANES, the paths that must be there, and how much is to be done.

# Runs tests of the library, none of them skipped because the CPU lacks what they test. One with AVX-IFMA alone may lack AVX-512.
passes() {
    "$@" --nocapture --test-threads=1 || return
    case $LANES in
        ifma,*) ! grep skipped /tmp/output ;;
        *) ! grep 'skipped.*AVX-IFMA' /tmp/output ;;
    esac
}

for path in $(echo "$LANES" | tr , ' '); do
    check "lanes give what scalar code gives, for random work: $path" ./compare "$path" "$ROUNDS"
    cat /tmp/output
done
# Whole signatures by RSA, one to a vector, are among the random work.
check "the tests of single parts pass" passes ./unit lanes vector_powers mlkem
check "known answers are right on every path" passes ./self_test
check "the batch engine's tests pass" passes ./batch $(echo "$TESTS" | tr , ' ')
check "nothing of a secret is left in memory" ./leftovers
check "a batch takes equally many instructions, whatever its secrets are" ./timing ticks "$BATCHES"
cp /tmp/output /tmp/ticks
cat /tmp/ticks
paths=$(echo "$LANES" | tr , '\n' | wc -l)
check "that was seen of X25519, ML-KEM and P-256 in lanes" [ "$(grep -c -E '^(avx-)?ifma +(x25519|p256).* 0\.00$' /tmp/ticks)" = $((4 * paths)) ]
case $LANES in
    ifma,*) ;;
    # The module has no lanes of AVX-IFMA.
    *) echo "guest: $failed failed"; exit ;;
esac
