#!/usr/bin/env bash
# usage: hosts.sh up RATE | down | agent HOST COMMAND...
# Two hosts on this machine: network namespaces joined by a veth pair, limited to RATE (such as 1gbit; none: unlimited).
# mpirun runs in the first, and starts the second by "agent" instead of ssh; each has a host name of its own, so that
# Open MPI does not share memory between them. Needs root, iproute2 and util-linux.
set -euo pipefail
case $1 in
up)
  for host in pynn-a pynn-b; do
    ip netns add "$host"
    ip -n "$host" link set lo up
  done
  ip link add veth-a netns pynn-a type veth peer name veth-b netns pynn-b
  for side in a b; do
    [ $side = a ] && address=10.77.0.1 || address=10.77.0.2
    ip -n pynn-$side addr add $address/24 dev veth-$side
    ip -n pynn-$side link set veth-$side up
    [ "$2" = none ] || ip netns exec pynn-$side tc qdisc add dev veth-$side root tbf rate "$2" burst 256kb latency 50ms
  done
  ;;
down)
  for host in pynn-a pynn-b; do ip netns del "$host" 2>/dev/null || true; done
  ;;
agent)
  host=$2
  shift 2
  exec ip netns exec "$host" unshare --uts sh -c "hostname $host; $*"
  ;;
esac
