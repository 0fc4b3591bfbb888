//! Wire ⇄ model, for the pieces both directions share.
