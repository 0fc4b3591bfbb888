# Pid 1 of node N of cluster C: containerd, kubelet, kube-proxy. Run by `up` and `node start` on the node's network.
. "$(dirname "${BASH_SOURCE[0]}")/rig.sh"
. "$here/lib/machine.sh"
. "$here/lib/cgroups.sh"
settings
c=$1 n=$2 dir=$(node_dir "$1" "$2")
begin "$dir"

# Default paths, as every program on a node expects them, with what is this node's own behind them. What is below /run is
# gone when the node ends; the rest survives.
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock
for path in "${disk_paths[@]}"; do
    mkdir -p "$dir/disk$path"
    mount --bind "$dir/disk$path" "$path"
done
hostname "node-$n"

# kubelet sets sysctls that are the whole machine's; `down` restores them.
mkdir -p /etc/cni/net.d
ranges='' routes=''
for family in $(families); do
    [ "$family" = 4 ] && everything=0.0.0.0/0 || everything=::/0
    ranges+="${ranges:+, }[{\"subnet\": \"$(node_pods "$c" "$n" "$family")\"}]"
    routes+="${routes:+, }{\"dst\": \"$everything\"}"
done
case $CNI in
    bridge) link='"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true' ;;
    ptp) link='"type": "ptp"' ;;
esac
portmap=iptables
[ "$PROXY" != nftables ] || portmap=nftables
cat >/etc/cni/net.d/10-rig.conflist <<END
{"cniVersion": "1.0.0", "name": "rig", "plugins": [
  {$link, "ipam": {"type": "host-local", "ranges": [$ranges], "routes": [$routes]}},
  {"type": "portmap", "backend": "$portmap", "capabilities": {"portMappings": true}}]}
END

# restrict_oom_score_adj: a machine without CAP_SYS_RESOURCE, as many a container, may not lower it.
cat >"$dir/containerd.toml" <<END
version = 3
disabled_plugins = ["io.containerd.internal.v1.opt"]
[plugins.'io.containerd.nri.v1.nri']
disable = false
socket_path = "/run/nri/nri.sock"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "$(cat "$assets/images/pause.name")"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
disable_apparmor = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["$assets/cni"]
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
END

# failCgroupV1: since 1.35 kubelet has to be told to run on it.
cat >"$dir/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $(cluster_dir "$c")/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /$(cgroup_name "$c" "$n")
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: [$(dns_service "$c" "$(first_family)")]
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
oomScoreAdj: 0
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
END

# The limits of connection tracking are the machine's, and cannot be set from a network namespace.
cat >"$dir/kube-proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $dir/kube-proxy.kubeconfig}
mode: $PROXY
clusterCIDR: $(per_family cluster_pods "$c")
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
END

# images: puts what every node has into a new node's containerd.
images() {
    local name
    until ctr version >/dev/null 2>&1; do sleep 0.1; done
    for name in pause coredns agnhost busybox; do
        ctr --namespace k8s.io images ls -q "name==$(cat "$assets/images/$name.name")" | grep -q . ||
            ctr --namespace k8s.io images import "$assets/images/$name.tar"
    done
}

service containerd containerd --config "$dir/containerd.toml" &
images
service kubelet kubelet --config "$dir/kubelet.yaml" --kubeconfig "$dir/kubelet.kubeconfig" --hostname-override "node-$n" \
    --node-ip "$(per_family node_address "$c" "$n")" &
if [ "$PROXY" != none ]; then
    service kube-proxy kube-proxy --config "$dir/kube-proxy.yaml" --hostname-override "node-$n" &
fi
stay
