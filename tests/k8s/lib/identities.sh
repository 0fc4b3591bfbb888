# Sourced: who is who in a cluster: a CA, the API server's certificates, and a token with a kubeconfig for everybody else.

# certificate DIR NAME SUBJECT EXTENSIONS: NAME.crt and NAME.key, signed by the cluster's CA.
certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$3" -keyout "$1/$2.key" -out "$1/$2.csr"
    openssl x509 -req -in "$1/$2.csr" -CA "$1/ca.crt" -CAkey "$1/ca.key" -CAcreateserial -days 30 -out "$1/$2.crt" -extfile <(echo "$4")
} 2>>"$1/openssl.log"

# identity C FILE USER GROUP: a new token, and the kubeconfig FILE that uses it.
identity() {
    local dir id token
    dir=$(cluster_dir "$1") id=$(cluster_id "$1") token=$(openssl rand -hex 16)
    echo "$token,$3,$3,$4" >>"$dir/pki/tokens"
    mkdir -p "$(dirname "$2")"
    cat >"$2" <<END
apiVersion: v1
kind: Config
clusters: [{name: $id, cluster: {server: "$(api_url "$1")", certificate-authority-data: $(base64 -w0 "$dir/pki/ca.crt")}}]
users: [{name: $id, user: {token: $token}}]
contexts: [{name: $id, context: {cluster: $id, user: $id}}]
current-context: $id
END
}

make_identities() {
    local c=$1 n dir pki family names
    dir=$(cluster_dir "$c") pki=$dir/pki
    (umask 077 && mkdir -p "$pki")
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$(cluster_id "$c") CA" \
        -keyout "$pki/ca.key" -out "$pki/ca.crt" -addext keyUsage=critical,keyCertSign 2>>"$pki/openssl.log"
    names=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
    for family in $(families); do names+=",IP:$(api_address "$c" "$family"),IP:$(first_service "$c" "$family")"; done
    certificate "$pki" apiserver /CN=kube-apiserver "subjectAltName=$names"
    certificate "$pki" kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client extendedKeyUsage=clientAuth
    openssl genrsa -out "$pki/accounts.key" 2048 2>>"$pki/openssl.log"

    : >"$pki/tokens"
    identity "$c" "$dir/kubeconfig" admin system:masters
    for n in kube-controller-manager kube-scheduler; do identity "$c" "$dir/control/$n.kubeconfig" "system:$n" ""; done
    for ((n = 1; n <= NODES; n++)); do
        identity "$c" "$dir/node-$n/kubelet.kubeconfig" "system:node:node-$n" system:nodes
        identity "$c" "$dir/node-$n/kube-proxy.kubeconfig" system:kube-proxy ""
    done
}
