# Pid 1 of the control plane of cluster C: etcd, the API server, the controllers and the scheduler. Run by `up` on the fabric.
. "$(dirname "${BASH_SOURCE[0]}")/rig.sh"
. "$here/lib/machine.sh"
settings
c=$1 dir=$(cluster_dir "$1") loopback=127.0.0.$1
begin "$dir/control"

# when_ready COMMAND...: once the API server answers. A controller that is too early gives up, and starts again late.
when_ready() {
    until kubectl --kubeconfig "$dir/kubeconfig" get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
    exec "$@"
}

# What hub and enforcers ask for and whether they may have it, which tests/k8s/rights reads.
cat >"$dir/control/audit.yaml" <<END
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, userGroups: ["system:serviceaccounts:bailey"]}
- {level: None}
END

# --unsafe-no-fsync: the rig forgets everything at a crash of the machine, and is faster until then.
service etcd etcd --data-dir "$dir/control/etcd" --unsafe-no-fsync \
    --listen-client-urls "http://$loopback:2379" --advertise-client-urls "http://$loopback:2379" \
    --listen-peer-urls "http://$loopback:2380" --initial-advertise-peer-urls "http://$loopback:2380" \
    --initial-cluster "default=http://$loopback:2380" &
address=$(api_address "$c" "$(first_family)")
service kube-apiserver kube-apiserver --etcd-servers "http://$loopback:2379" --bind-address "$address" \
    --advertise-address "$address" --secure-port 6443 --service-cluster-ip-range "$(per_family cluster_services "$c")" \
    --tls-cert-file "$dir/pki/apiserver.crt" --tls-private-key-file "$dir/pki/apiserver.key" --token-auth-file "$dir/pki/tokens" \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$dir/pki/accounts.key" \
    --service-account-signing-key-file "$dir/pki/accounts.key" --client-ca-file "$dir/pki/ca.crt" \
    --kubelet-client-certificate "$dir/pki/kubelet-client.crt" --kubelet-client-key "$dir/pki/kubelet-client.key" \
    --kubelet-preferred-address-types InternalIP --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --allow-privileged --audit-policy-file "$dir/control/audit.yaml" --audit-log-path "$dir/control/audit.log" &
service kube-controller-manager when_ready kube-controller-manager --kubeconfig "$dir/control/kube-controller-manager.kubeconfig" \
    --bind-address "$loopback" --leader-elect=false --use-service-account-credentials --root-ca-file "$dir/pki/ca.crt" \
    --service-account-private-key-file "$dir/pki/accounts.key" &
service kube-scheduler when_ready kube-scheduler --kubeconfig "$dir/control/kube-scheduler.kubeconfig" \
    --bind-address "$loopback" --leader-elect=false &
stay
