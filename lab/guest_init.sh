#!/bin/sh
# The guest's first and only program: brings up the NICs as they appear, answers ping, serves its uptime.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
for module in /mod/*.ko; do insmod "$module"; done
ip link set lo up
# labips=10.9.0.11/24,10.9.0.12/24: the address of the first NIC, of the second, ...
addresses=$(sed -n 's/.*labips=\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' ')
httpd -p 80 -h /www
echo "GUEST-INIT-DONE $(cut -d' ' -f1 /proc/uptime)" > /dev/console
while :; do
  set -- $addresses
  for nic in /sys/class/net/e*; do
    [ -e "$nic" ] || continue
    [ $# -gt 0 ] || break
    name=${nic##*/}
    # by index too: a NIC that was unplugged and plugged again is a new one of the old name
    seen=/tmp/up-$name-$(cat "$nic/ifindex")
    if [ ! -e "$seen" ] && ip link set "$name" up && ip addr add "$1" dev "$name"; then
      echo > "$seen"
      echo "GUEST-NET $name $(cat "$nic/address") $1 $(cut -d' ' -f1 /proc/uptime)" > /dev/console
    fi
    shift
  done
  cut -d' ' -f1 /proc/uptime > /www/uptime
  sleep 0.5
done
