# SPDX-License-Identifier: MIT OR Apache-2.0
# What only the debug kernel can do, after all other tests: let allocations fail, and look for leaks of memory.

# What kmemleak reports: after two scans, of memory that is older than five seconds.
leaks() {
    sleep 6
    echo scan > /sys/kernel/debug/kmemleak
    echo scan > /sys/kernel/debug/kmemleak
    cat /sys/kernel/debug/kmemleak
}
no_leaks() { [ -z "$(leaks | tee /dev/stderr)" ]; }

./faults load
[ $? -eq 0 ] || failed=$((failed + 1))
check "the module loads again" insmod ./ttls.ko
check "and takes a configuration" ./ttls ctl load --config ttls.toml
. ./faults.sh
check "the module unloads after the shortage" eventually rmmod ttls
check "kmemleak finds nothing" no_leaks
dmesg > /tmp/log
sed -i "1,/guest tests begin/d" /tmp/log
check "nor does KASAN, lockdep or another checker" not grep -E -A 30 'BUG:|WARNING:|Oops|INFO:|ODEBUG:' /tmp/log

# Faults made on purpose: both are found.
check "another module leaks memory on purpose" sh -c 'insmod ./kmemleak-test.ko && rmmod kmemleak-test'
check "kmemleak finds it" not no_leaks
check "another one reads freed memory" sh -c 'insmod ./lkdtm.ko && echo READ_AFTER_FREE > /sys/kernel/debug/provoke-crash/DIRECT'
check "KASAN finds it" sh -c 'dmesg | grep -q "BUG: KASAN: use-after-free"'
