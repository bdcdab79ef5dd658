# SPDX-License-Identifier: MIT OR Apache-2.0
# What the module must do, seen from the guest.

. ./lib.sh

echo "kernel $(uname -r)"
[ -z "$LANES" ] || . ./lanes.sh
echo "guest tests begin" > /dev/kmsg
check "the module loads" insmod ./ttls.ko
check "there is no configuration yet" says "no configuration" ./ttls ctl list
check "a wrong key is refused with a reason" says "does not belong" ./ttls ctl load --config wrong.toml
check "a configuration loads" ./ttls ctl load --config ttls.toml
check "its names are listed" says "certificate one.example" ./ttls ctl list

# The kernel's command line may name some of the parts.
for part in $(echo "${PARTS:-all}" | tr , ' '); do
    part $part
done

for name in listeners pending contexts connections contained_panics failed_local; do
    check "$name is zero at the end" eventually is $name 0
done
./ttls ctl stats | tr '\n' ' '
echo
check "the configuration is removed" ./ttls ctl remove
check "the module unloads" eventually rmmod ttls
check "it leaves kTLS free" eventually rmmod tls
dmesg > /tmp/log
sed -i "1,/guest tests begin/d" /tmp/log
check "the kernel has nothing to complain about" not grep -E -A 20 'BUG:|WARNING:|Oops|Call Trace|leak|INFO:|stall|optmem|contained a panic|kTLS refuses' /tmp/log
check "every line of the module's log is expected" not grep -E 'ttls: (self|the Rust)' /tmp/log
check "it loads and unloads again" sh -c 'insmod ./ttls.ko && rmmod ttls'
[ ! -e /sys/kernel/debug/failslab ] || . ./debug.sh
echo "guest: $failed failed"
