# Sourced: the flat network. A bridge in a network namespace of its own, the nodes on it, a route to each node's pods
# everywhere, no address translation anywhere. The machine's own network is not touched.

# sysctls NETNS KEY=VALUE...: keys are paths below /proc/sys.
sysctls() {
    local netns=$1
    shift
    net "$netns" bash -c 'for s; do echo "${s#*=}" >"/proc/sys/${s%%=*}"; done' - "$@"
}

forwarding=(net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1 net/ipv6/conf/default/accept_dad=0)

# add_address NETNS LINK ADDRESS FAMILY: with the prefix of the fabric; usable at once.
add_address() {
    case $4 in
        4) net "$1" ip address add "$3/24" dev "$2" ;;
        6) net "$1" ip address add "$3/64" dev "$2" nodad ;;
    esac
}

make_fabric() {
    local c family
    ip netns add $fabric
    sysctls $fabric "${forwarding[@]}" net/bridge/bridge-nf-call-iptables=0 net/bridge/bridge-nf-call-ip6tables=0
    net $fabric ip link set lo up
    net $fabric ip link add br0 type bridge
    net $fabric ip link set br0 up
    for ((c = 1; c <= CLUSTERS; c++)); do
        for family in $(families); do
            add_address $fabric br0 "$(api_address $c "$family")" "$family"
        done
    done
}

# make_node_network C N: the network namespace of a node that has just been switched on: addresses, and no rule.
make_node_network() {
    local c=$1 n=$2 netns port family
    netns=$(node_netns "$c" "$n") port=$(letter "$c")-$n
    ip netns add "$netns"
    sysctls "$netns" "${forwarding[@]}" net/bridge/bridge-nf-call-iptables=1 net/bridge/bridge-nf-call-ip6tables=1
    net "$netns" ip link set lo up
    # A node that restarts has the network card that it had: its neighbours do not notice.
    net $fabric ip link add "$port" type veth peer name eth0 address "02:00:00:00:0$c:0$n" netns "/run/netns/$netns"
    net $fabric ip link set "$port" master br0 up
    net "$netns" ip link set eth0 up
    for family in $(families); do
        add_address "$netns" eth0 "$(node_address "$c" "$n" "$family")" "$family"
        net "$netns" ip "-$family" route add default via "$(api_address 1 "$family")"
    done
    every_node route_from "$netns" "$c" "$n"
    route_from $fabric 0 0 "$c" "$n"
}

# route_from NETNS OWN-C OWN-N C N: from there to the pods of another node; the fabric itself is node 0 of cluster 0.
route_from() {
    local family
    [ "$2/$3" = "$4/$5" ] && return
    for family in $(families); do
        net "$1" ip "-$family" route replace "$(node_pods "$4" "$5" "$family")" via "$(node_address "$4" "$5" "$family")"
    done
}

remove_node_network() {
    local netns; netns=$(node_netns "$1" "$2")
    net $fabric ip link delete "$(letter "$1")-$2" 2>/dev/null || true      # at once; the namespace's own end comes later
    [ ! -e "/run/netns/$netns" ] || ip netns delete "$netns"
}
