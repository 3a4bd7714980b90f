#!/usr/bin/env bash
# Runs a program on two hosts that are network namespaces of this one, with a link of a given rate and delay between them:
#   namespaces.sh 100mbit 10 dotnet Distributed.dll --threads 1      (or none; milliseconds one way, or 0)
# Needs root, Open MPI, and a kernel with veth and tbf. The delay is made by a relay between the hosts (delay.py), as a kernel need not have netem.
set -euo pipefail
rate=$1 delay=$2; shift 2
here=$(cd "$(dirname "$0")" && pwd)
a=fossil-a-$$ b=fossil-b-$$ wire=fossil-wire-$$ relay=
trap '[ -z "$relay" ] || kill $relay 2> /dev/null; for name in $a $b $wire; do ip netns del $name 2> /dev/null; done; rm -f "$agent"' EXIT
agent=$(mktemp)
for name in $a $b $wire; do ip netns add $name; ip -n $name link set lo up; done
if [ "$delay" = 0 ]; then
  ip link add host netns $a mtu 9000 type veth peer name host netns $b
else
  ip link add host netns $a mtu 9000 type veth peer name to-a netns $wire
  ip link add host netns $b mtu 9000 type veth peer name to-b netns $wire
  for end in to-a to-b; do ip -n $wire link set $end mtu 9000 up; done
fi
for end in "$a 10.77.0.1" "$b 10.77.0.2"; do
  read -r name address <<< "$end"
  ip -n $name addr add $address/24 dev host
  ip -n $name link set host mtu 9000 up
  # Frames go over the wire as they are: whole, and with their sums.
  ip netns exec $name python3 "$here/plain_frames.py" host
  [ "$rate" = none ] || ip netns exec $name tc qdisc add dev host root tbf rate $rate burst 256kb latency 400ms
done
if [ "$delay" != 0 ]; then ip netns exec $wire python3 "$here/delay.py" to-a to-b "$delay" & relay=$!; fi
# What mpirun takes for ssh: it gets the host's address and a command.
printf '#!/bin/sh\nshift\nexec ip netns exec %s sh -c "$*"\n' $b > "$agent"; chmod +x "$agent"
ip netns exec $a mpirun.openmpi --allow-run-as-root --bind-to none -np 2 --host 10.77.0.1:1,10.77.0.2:1 \
  --mca plm_rsh_agent "$agent" --mca pml ob1 --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 -x OMP_NUM_THREADS=1 "$@"
