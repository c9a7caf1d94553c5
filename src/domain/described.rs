//! Queues that only a person can describe: which end of a list is next, what an item is, where the dead ones go.
//!
//! Read from the configuration's `[[list]]` tables and handed to the adapters as plain data.

use serde::{Deserialize, Serialize};

/// All descriptions of one configuration.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Described {
    /// Plain lists.
    pub lists: Vec<ListSpec>,
}

/// One plain-list queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSpec {
    /// Name of the queue in qtop.
    pub name: String,
    /// Key of the list.
    pub key: String,
}
