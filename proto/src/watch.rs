//! The feed of one kind of object of one cluster.
//!
//! Shell around kube's watcher: streaming list where the API server has it, paged list where it has not, back-off with
//! jitter, a relist delivered as a whole. It keeps no objects and decides nothing.

/// What a feed says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<K> {
    /// The complete list: what is not in it does not exist (any more). Never an incomplete one.
    Synced(Vec<K>),
    /// An object is new or changed.
    Applied(K),
    /// An object is gone; its last known state.
    Deleted(K),
    /// Nothing changed, the API server is alive (a bookmark).
    Heard,
    /// Contact is lost or refused; what was said stands. The feed goes on trying.
    Lost(String),
}
