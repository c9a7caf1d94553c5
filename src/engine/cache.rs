//! Queues found earlier, kept on disk so that they are on screen at once on the next start.
//!
//! Names only. The file is private to the user (S17), and whatever is wrong with it only means that nothing is known.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Systems;
use crate::domain::ids::QueueId;

/// A larger file is not ours.
const LARGEST: u64 = 8 << 20;
/// Version of the format.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    /// URL without secrets, so that a copied or renamed file is not taken for another server's.
    url: String,
    queues: Vec<Entry>,
}

/// System, then instance and queue name in base64: names are bytes.
#[derive(Serialize, Deserialize)]
struct Entry(String, String, String);

/// The file for a server inside qtop's state directory.
pub fn path(directory: &Path, url: &str) -> PathBuf {
    let hash = sha1_smol::Sha1::from(url).digest().to_string();
    directory.join(format!("queues-{}.json", &hash[..16]))
}

/// Reads what was kept for this server.
pub async fn load(path: &Path, url: &str, systems: &Systems) -> Vec<QueueId> {
    match tokio::fs::metadata(path).await {
        Ok(metadata) if metadata.is_file() && metadata.len() <= LARGEST => {}
        _ => return Vec::new(),
    }
    let Ok(text) = tokio::fs::read(path).await else { return Vec::new() };
    let Ok(file) = serde_json::from_slice::<File>(&text) else {
        tracing::warn!(path = %path.display(), "the list of queues found earlier is not readable; it will be made anew");
        return Vec::new();
    };
    if file.format != FORMAT || file.url != url {
        return Vec::new();
    }
    let queue = |Entry(system, instance, name): Entry| {
        let system = systems.iter().map(|known| known.spec().name).find(|known| *known == system)?;
        Some(QueueId::new(system, STANDARD.decode(instance).ok()?, STANDARD.decode(name).ok()?))
    };
    file.queues.into_iter().filter_map(queue).collect()
}

/// Keeps the queues of a server. The old file stays whole until the new one is complete.
pub fn store(path: &Path, url: &str, queues: &BTreeSet<QueueId>) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    make_private_directory(directory)?;
    let entry = |id: &QueueId| {
        let name = |name: &crate::domain::ids::Name| STANDARD.encode(name.as_bytes());
        Entry(id.instance.system.to_owned(), name(&id.instance.name), name(&id.name))
    };
    let file = File { format: FORMAT, url: url.to_owned(), queues: queues.iter().map(entry).collect() };
    // Created with mode 0600 and a name of its own, then moved into place.
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(&serde_json::to_vec(&file)?)?;
    new.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn make_private_directory(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
