#!/usr/bin/env bash
# Runs a program on two hosts that are network namespaces of this one, with a link of a given rate between them: namespaces.sh 100mbit dotnet Distributed.dll --threads 1
# Needs root, Open MPI, and a kernel with veth and tbf.
set -euo pipefail
rate=$1; shift
a=fossil-a-$$ b=fossil-b-$$
trap 'ip netns del $a 2> /dev/null; ip netns del $b 2> /dev/null; rm -f "$agent"' EXIT
ip netns add $a; ip netns add $b
ip link add va netns $a type veth peer name vb netns $b
ip -n $a addr add 10.77.0.1/24 dev va; ip -n $b addr add 10.77.0.2/24 dev vb
for end in "$a va" "$b vb"; do
  read -r host device <<< "$end"
  ip -n $host link set lo up; ip -n $host link set $device up
  [ "$rate" = none ] || ip netns exec $host tc qdisc add dev $device root tbf rate $rate burst 256kb latency 100ms
done
# What mpirun takes for ssh: it gets the host's address and a command.
agent=$(mktemp); printf '#!/bin/sh\nshift\nexec ip netns exec %s sh -c "$*"\n' $b > "$agent"; chmod +x "$agent"
ip netns exec $a mpirun.openmpi --allow-run-as-root --bind-to none -np 2 --host 10.77.0.1:1,10.77.0.2:1 \
  --mca plm_rsh_agent "$agent" --mca pml ob1 --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 -x OMP_NUM_THREADS=1 "$@"
