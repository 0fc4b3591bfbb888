//! What a test can make the embedded API server do wrong.

use super::request::Verb;
use super::resource::Resource;
use std::collections::BTreeSet;

/// The faults in force; the default is none.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Faults {
    /// How streaming lists are answered.
    pub streaming_lists: StreamingLists,
    /// What nobody may do, whatever their role: answered 403.
    pub forbidden: BTreeSet<(Verb, Resource)>,
    /// Requests are accepted but not answered, watches say nothing, until this is false again.
    pub paused: bool,
}

/// How `sendInitialEvents` is answered.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum StreamingLists {
    /// As a server of today does.
    #[default]
    Served,
    /// With 422, as a server with the feature off does.
    Refused,
    /// As if it were not there, as a server from before the feature does.
    Ignored,
}
