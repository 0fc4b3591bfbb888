# Sourced by the rig's commands: where things are, what they are called, which addresses they have.
#
# Nothing here starts, changes or ends anything. A cluster is known by its number in the code and by its id outside of
# it: 1 is cluster-a. Nodes are called node-1, node-2, … in every cluster: that they share names is deliberate.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rig=${BAILEY_RIG:-/var/lib/bailey-rig}
assets=${BAILEY_ASSETS:-${XDG_CACHE_HOME:-$HOME/.cache}/bailey/assets}
PATH=$assets:$PATH:/usr/sbin:/sbin

# usage: the comment that a command begins with.
usage() { sed -n '2,/^[^#]/{/^[^#]/d;s/^#\( \|$\)//p}' "$0"; }

# die MESSAGE...: says it in the command's name and ends with 2, as for everything that a person can put right.
die() {
    echo "tests/k8s/${0##*/}: $*" >&2
    exit 2
}

# exclusive: at most one command changes the rig of a machine. Nothing that stays may inherit descriptor 9.
exclusive() {
    [ "$(id -u)" = 0 ] || die "needs root: nodes are namespaces of this machine (try sudo -E)"
    exec 9>>/run/lock/bailey-rig.lock
    flock -n 9 || die "another command is changing the rig of this machine: $(tail -n 1 /run/lock/bailey-rig.lock)"
    echo "tests/k8s/${0##*/}, pid $$, since $(date +%T)" >/run/lock/bailey-rig.lock
}

# settings: what the rig was brought up with.
settings() {
    [ -e "$rig/settings" ] || die "no rig is up in $rig: tests/k8s/up"
    # shellcheck source=/dev/null
    . "$rig/settings"
}

letter() { printf "\\x$(printf %x $((96 + $1)))"; }
cluster_id() { echo "cluster-$(letter "$1")"; }

# cluster_number ID: of a cluster that is up.
cluster_number() {
    local c
    for ((c = 1; c <= CLUSTERS; c++)); do [ "$1" = "$(cluster_id $c)" ] && { echo $c; return; }; done
    die "no cluster is called \"$1\" (up: $(for ((c = 1; c <= CLUSTERS; c++)); do printf '%s ' "$(cluster_id $c)"; done))"
}

# parse_node ID/NODE: sets c and n to the numbers of a node that is up, as in cluster-a/node-1.
parse_node() {
    case ${1:-} in
        cluster-?/node-[1-9]) ;;
        *) die "\"${1:-}\" is no node: they are called cluster-a/node-1" ;;
    esac
    c=$(cluster_number "${1%/*}") n=${1##*-}
    [ "$n" -le "$NODES" ] || die "no node is called \"$1\": a cluster has $NODES"
}

# every_node COMMAND...: runs the command with the numbers of each node's cluster and of the node.
every_node() {
    local c n
    for ((c = 1; c <= CLUSTERS; c++)); do for ((n = 1; n <= NODES; n++)); do "$@" $c $n; done; done
}

# Network namespaces. The fabric is the flat network; the control planes live in it too.
fabric=bailey-fabric
node_netns() { echo "bailey-$(letter "$1")-$2"; }
net() {
    local name=$1
    shift
    nsenter --net="/run/netns/$name" -- "$@"
}

# Addresses. Fabric 10.30.0.0/24, fd00:30::/64; API server of cluster c …c, node n of it …10c+n; its pods 10.c.n.0/24,
# fd00:c:n::/64; the cluster's services 10.(95+c).0.0/16, fd00:(95+c)::/112.
families() { case $FAMILIES in dual) echo "4 6" ;; *) echo "$FAMILIES" ;; esac; }
api_address() { [ "$2" = 4 ] && echo "10.30.0.$1" || echo "fd00:30::$1"; }
node_address() { [ "$3" = 4 ] && echo "10.30.0.$((10 * $1 + $2))" || echo "fd00:30::$((10 * $1 + $2))"; }
node_pods() { [ "$3" = 4 ] && echo "10.$1.$2.0/24" || echo "fd00:$1:$2::/64"; }
cluster_pods() { [ "$2" = 4 ] && echo "10.$1.0.0/16" || echo "fd00:$1::/32"; }
cluster_services() { [ "$2" = 4 ] && echo "10.$((95 + $1)).0.0/16" || echo "fd00:$((95 + $1))::/112"; }
first_service() { [ "$2" = 4 ] && echo "10.$((95 + $1)).0.1" || echo "fd00:$((95 + $1))::1"; }
dns_service() { [ "$2" = 4 ] && echo "10.$((95 + $1)).0.10" || echo "fd00:$((95 + $1))::a"; }
first_family() { local all; all=$(families); echo "${all%% *}"; }
api_url() {
    local address; address=$(api_address "$1" "$(first_family)")
    case $address in *:*) address="[$address]" ;; esac
    echo "https://$address:6443"
}

# per_family FUNCTION ARGUMENTS...: its values for the families in use, joined by commas.
per_family() {
    local family all=()
    for family in $(families); do all+=("$("$@" "$family")"); done
    local IFS=,
    echo "${all[*]}"
}

# Folders. One for each cluster, with its control plane's, and in it one for each node.
cluster_dir() { echo "$rig/$(cluster_id "$1")"; }
node_dir() { echo "$(cluster_dir "$1")/node-$2"; }

# The folders of a node that are its own: its disk.
disk_paths=(/var/lib/containerd /var/lib/kubelet /var/lib/cni /var/lib/bailey /var/log /etc/cni)

# running DIR: the process that is pid 1 of the machine in DIR, if it still is that process.
running() {
    local pid started
    read -r pid started 2>/dev/null <"$1/pid" || return 1
    [ "$(started "$pid")" = "$started" ] && echo "$pid"
}

# started PID: when it started, in the kernel's ticks: with the number it names a process for good.
started() {
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- $stat
    echo "${20}"
}

# on_machine DIR COMMAND...: runs a command as a process of the machine with the folder DIR.
on_machine() {
    local pid
    pid=$(running "$1") || die "${1#"$rig"/} does not run"
    shift
    nsenter --target "$pid" --net --mount --pid --uts --ipc -- "$@"
}

# kubectl_of C ARGUMENTS...: kubectl as the administrator of cluster C.
kubectl_of() {
    local dir; dir=$(cluster_dir "$1")
    shift
    net $fabric kubectl --kubeconfig "$dir/kubeconfig" "$@"
}
