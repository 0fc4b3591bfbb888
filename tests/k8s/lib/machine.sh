# Sourced: a machine is a tree of processes in namespaces of its own (pid, mount, uts, ipc) on a network namespace that
# exists already. A node is one, and so is the control plane of a cluster. It ends, with all its processes and mounts,
# when its pid 1 is killed, and in no other way.

# start_machine DIR NETNS SCRIPT ARGUMENTS...: starts SCRIPT as pid 1; returns when it runs.
start_machine() {
    local dir=$1 netns=$2
    shift 2
    mkdir -p "$dir"
    rm -f "$dir/pid"
    touch "$dir/starting"
    BAILEY_RIG=$rig BAILEY_ASSETS=$assets nsenter --net="/run/netns/$netns" setsid \
        unshare --mount --pid --uts --ipc --fork bash "$@" >>"$dir/machine.log" 2>&1 </dev/null 9>&- &
    await_machine "$dir" || die "${dir#"$rig"/} does not start: see $dir/machine.log"
}

# await_machine DIR: waits until a machine that is starting runs.
await_machine() {
    local deadline=$((SECONDS + 10))
    until running "$1" >/dev/null; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
    rm -f "$1/starting"
}

# kill_machine DIR: power off. Returns when it is gone.
kill_machine() {
    local pid deadline=$((SECONDS + 20))
    [ ! -e "$1/starting" ] || await_machine "$1" || true      # of an `up` that was interrupted just then
    pid=$(running "$1") || return 0
    kill -9 "$pid"
    while running "$1" >/dev/null; do
        [ $SECONDS -lt $deadline ] || die "pid $pid (pid 1 of ${1#"$rig"/}) does not end: something in it hangs in the kernel"
        sleep 0.05
    done
    rm -f "$1/pid"
}

# start_node C N: switches a node on, on a network of its own; it comes back with the disk that it had.
start_node() {
    make_node_network "$1" "$2"
    make_cgroup "$1" "$2"
    start_machine "$(node_dir "$1" "$2")" "$(node_netns "$1" "$2")" "$here/lib/node.sh" "$1" "$2"
}

# stop_node C N: power off. Its network and all that its kernel knew are gone.
stop_node() {
    kill_machine "$(node_dir "$1" "$2")"
    remove_node_network "$1" "$2"
    remove_cgroups "$(cgroup_name "$1" "$2")"
}

# begin DIR: what a pid 1 does first. It tells its number outside of its namespaces, where /proc is still the outer one.
begin() {
    local pid
    machine=$1
    read -r pid _ </proc/self/stat
    mount --make-rshared /                      # kubelet wants shared mounts; they are shared within the machine alone
    echo "$pid $(started "$pid")" >"$machine/pid.new"
    mount -t proc proc /proc
    mv "$machine/pid.new" "$machine/pid"
}

# service NAME COMMAND...: runs a program for as long as the machine lives, as an init system does: again when it ends,
# unless NAME.stopped exists (tests/k8s/service).
service() {
    local name=$1
    shift
    while :; do
        while [ -e "$machine/$name.stopped" ]; do sleep 0.1; done
        "$@" >>"$machine/$name.log" 2>&1 </dev/null &
        echo $! >"$machine/$name.pid"
        wait $! || true
        rm -f "$machine/$name.pid"
        echo "$(date +%T.%3N) $name ended" >>"$machine/machine.log"
        sleep 0.2
    done
}

# stay: what a pid 1 does last: it takes care of orphans.
stay() { while :; do wait || true; sleep 1; done; }
