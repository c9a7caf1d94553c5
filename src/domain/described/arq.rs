//! What Redis alone does not tell about an ARQ queue.

use serde::{Deserialize, Serialize};

use super::field::Paths;

/// One ARQ queue, as an `[[arq]]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArqQueue {
    /// Its key, `queue_name` of its workers. It is shown even while it is empty, when Redis keeps nothing of it.
    pub queue: String,
    /// Key of its workers' health check, if they were given one; else it is the queue's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_key: Option<String>,
    /// Servers (by their names in the configuration) on which it is; none: on all.
    #[serde(skip_serializing_if = "Paths::is_empty")]
    pub servers: Paths,
}

impl Default for ArqQueue {
    fn default() -> Self {
        Self { queue: "arq:queue".to_owned(), health_check_key: None, servers: Paths::default() }
    }
}
