# Sourced: a cgroup for each node's kubelet, below bailey-rig of every hierarchy. Tried with version 1; with version 2 the
# controllers are handed down, which a container that is no cgroup root of its own may forbid.

cgroup_name() { echo "bailey-rig/$(letter "$1")-$2"; }

cgroup_roots() {
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        echo /sys/fs/cgroup
    else
        local root
        for root in /sys/fs/cgroup/*/; do [ ! -e "$root/cgroup.procs" ] || echo "${root%/}"; done
    fi
}

make_cgroup() {
    local root dir file name; name=$(cgroup_name "$1" "$2")
    for root in $(cgroup_roots); do
        mkdir -p "$root/$name"
        for dir in "$root" "$root/bailey-rig" "$root/$name"; do
            if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
                echo '+cpuset +cpu +memory +pids' >"$dir/cgroup.subtree_control"
            elif [ "$dir" != "$root" ] && [ -e "$dir/cpuset.cpus" ]; then
                for file in cpuset.cpus cpuset.mems; do cat "$dir/../$file" >"$dir/$file"; done
            fi
        done
    done
}

# remove_cgroups NAME: the cgroup and all below it. The kernel lets go of ended processes a little later than they end.
remove_cgroups() {
    local root deadline=$((SECONDS + 10))
    for root in $(cgroup_roots); do
        while [ -d "$root/$1" ]; do
            find "$root/$1" -depth -type d -exec rmdir {} + 2>/dev/null && break
            [ $SECONDS -lt $deadline ] || die "$root/$1 cannot be removed: processes are still in it (cat $root/$1/cgroup.procs)"
            sleep 0.1
        done
    done
}
