# Sourced by `install` and `remove` after rig.sh: the README's commands, shown as it has them and run from the desk.

# What a user edits, and the certificates.
folder=$rig/install

# show COMMAND...: runs it and shows it.
show() {
    echo "\$ $*"
    "$here/desk" "$@"
}

# overlay C: of deploy/kustomize, which cluster C is installed by, as the user has it.
overlay() {
    local name=member
    [ "$1" != 1 ] || name=hub-and-member
    echo "$folder/$(cluster_id "$1")/overlays/$name"
}

# cluster_label C VERB: applies or deletes the admission policies that keep the namespaces of cluster C labelled.
cluster_label() {
    local id; id=$(cluster_id "$1")
    echo "\$ kubectl kustomize deploy/cluster-label | sed s/cluster-a/$id/ | kubectl --context $id $2 -f -"
    "$here/desk" kubectl kustomize deploy/cluster-label | sed "s/cluster-a/$id/" | "$here/desk" kubectl --context "$id" "$2" -f -
}
