# Sourced by `install` and `remove` after rig.sh: the README's commands, taken from it, shown, and run from the desk.

# What a user copies and edits, and the certificates.
folder=$rig/install

# readme BEGINNING: the command of the README's installation chapter that begins so.
readme() {
    local command
    command=$(sed -n '/^## Install it$/,/^### What it runs on$/p' README.md | sed ':more; /\\$/{N; s/ *\\\n */ /; b more}' |
        awk -v "begins=$ $1" 'index($0, begins) == 1 { print substr($0, 3); exit }')
    [ -n "$command" ] || die "the README has no command that begins: $1"
    echo "$command"
}

# as_readme C BEGINNING: gives that command for cluster C, where the README speaks of cluster-b, with the names and
# addresses of the rig; runs it.
as_readme() {
    local command id; id=$(cluster_id "$1")
    command=$(readme "$2") || exit
    [[ $2 != *cluster-b* ]] || command=${command//cluster-b/$id}
    command=$(sed "s|mine/overlays/[a-z-]*|$(overlay "$1")|; s|registry\.example|localhost|; s| mine$| $folder/mine|; s| mine/| $folder/mine/|g; s|\bpki\b|$folder/pki|
        s|https://10\.30\.0\.11:30743|$(hub_url)|; s|--hub-san .*|$(hub_names)|; s|--context cluster-a=.*cluster-b=[^ ]*|$(contexts)|" <<<"$command")
    echo "\$ $command"
    timeout 180 "$here/desk" bash -o pipefail -c "$command"
}

# overlay C: of the user's copy, which cluster C is installed by.
overlay() {
    case $1 in
        1) echo "$folder/mine/overlays/hub-and-member" ;;
        2) echo "$folder/mine/overlays/member" ;;
        *) echo "$folder/mine/overlays/$(cluster_id "$1")" ;;
    esac
}

# hub_url: where nodes of other clusters than the hub's reach it.
hub_url() {
    local address; address=$(node_address 1 1 "$(first_family)")
    case $address in
        *:*) echo "https://[$address]:30743" ;;
        *) echo "https://$address:30743" ;;
    esac
}

# hub_names: the nodes' addresses, for its certificate.
hub_names() {
    local family n
    for family in $(families); do for ((n = 1; n <= NODES; n++)); do printf -- '--hub-san %s ' "$(node_address 1 $n "$family")"; done; done
}

# contexts: of all clusters, for their certificates.
contexts() {
    local c id
    for ((c = 1; c <= CLUSTERS; c++)); do id=$(cluster_id $c); printf -- '--context %s=%s ' "$id" "$id"; done
}
