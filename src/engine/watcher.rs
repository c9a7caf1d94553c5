//! Notices when the configuration, a theme or a file of secrets was saved.
//!
//! Editors save in many ways: in place, by renaming a new file over the old one, by swapping a symbolic link. So the
//! *folders* are watched, also those that links lead through; what counts is whether the content has changed.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigProblems};

/// Nothing must happen for so long before files are read: some editors write in several steps.
const QUIET: Duration = Duration::from_millis(60);
/// In a folder that never is quiet, files are read after so long anyway.
const LONGEST_WAIT: Duration = Duration::from_millis(400);
/// A file that is gone or empty may be about to be written.
const GONE_WAIT: Duration = Duration::from_millis(300);
/// How often files are read where the system cannot tell of changes.
const POLL: Duration = Duration::from_millis(700);
/// As many links in a row are followed, as on Linux.
const MOST_LINKS: usize = 40;

/// What the watcher found.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigEvent {
    /// This is in force now. It may equal the one before: then a theme or a secret has changed, or an error was undone.
    Changed(Arc<Config>),
    /// The new content is not usable; the last good one stays.
    Broken(ConfigProblems),
}

/// Watches until `cancel` is cancelled or nobody listens any more. `read` loads everything anew; it runs on a thread
/// where it may wait for the disk, and may refuse for reasons of its own, for example a broken theme. `config` is the
/// one in force.
///
/// Must be called inside a tokio runtime.
pub fn watch<R>(config: Arc<Config>, read: R, cancel: CancellationToken) -> mpsc::Receiver<ConfigEvent>
where
    R: Fn() -> Result<Config, ConfigProblems> + Send + Sync + 'static,
{
    let (sender, receiver) = mpsc::channel(4);
    // Taken before this returns, so that no change between reading and watching is lost.
    let seen = fingerprint(&config);
    let task = Task { config, seen, read: Arc::new(read), events: sender };
    tokio::spawn(async move {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = task.run() => {}
        }
    });
    receiver
}

struct Task<R> {
    config: Arc<Config>,
    seen: Contents,
    read: Arc<R>,
    events: mpsc::Sender<ConfigEvent>,
}

impl<R> Task<R>
where
    R: Fn() -> Result<Config, ConfigProblems> + Send + Sync + 'static,
{
    async fn run(mut self) {
        let mut eyes = self.look(None).await;
        // What has changed before they were open.
        eyes.stirred.notify_one();
        loop {
            eyes.changed().await;
            let mut contents = self.contents().await;
            if contents != self.seen && contents.main_is_blank && !self.seen.main_is_blank {
                sleep(GONE_WAIT).await;
                contents = self.contents().await;
            }
            if contents == self.seen {
                eyes = self.look(Some(eyes)).await;
                continue;
            }
            let read = Arc::clone(&self.read);
            let result = tokio::task::spawn_blocking(move || read()).await;
            let event = match result {
                Ok(Ok(config)) => {
                    let before = std::mem::replace(&mut self.config, Arc::new(config));
                    if before.origin.sources != self.config.origin.sources {
                        contents = self.contents().await;
                    }
                    ConfigEvent::Changed(Arc::clone(&self.config))
                }
                Ok(Err(problems)) => ConfigEvent::Broken(problems),
                Err(failure) => {
                    tracing::error!(%failure, "reading the configuration failed");
                    continue;
                }
            };
            self.seen = contents;
            eyes = self.look(Some(eyes)).await;
            if self.events.send(event).await.is_err() {
                return;
            }
        }
    }

    /// Watches what the configuration in force was made of, first with new eyes. In a folder of many files the system may
    /// take a while to begin.
    async fn look(&self, eyes: Option<Eyes>) -> Eyes {
        let config = Arc::clone(&self.config);
        let looking = tokio::task::spawn_blocking(move || {
            let mut eyes = eyes.unwrap_or_else(Eyes::open);
            eyes.look_at(&config);
            eyes
        });
        looking.await.unwrap_or_default()
    }

    async fn contents(&self) -> Contents {
        let config = Arc::clone(&self.config);
        let seen = self.seen.clone();
        tokio::task::spawn_blocking(move || fingerprint(&config)).await.unwrap_or(seen)
    }
}

/// What the files hold, as a number, and whether the configuration itself is gone or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Contents {
    hash: u64,
    main_is_blank: bool,
}

fn fingerprint(config: &Config) -> Contents {
    let mut hasher = DefaultHasher::new();
    let mut main_is_blank = false;
    for (index, path) in config.origin.sources.iter().enumerate() {
        let content = fs::read(path).ok();
        if index == 0 {
            main_is_blank = content.as_ref().is_none_or(Vec::is_empty);
        }
        // Permissions decide whether a file is used at all.
        let mode = fs::metadata(path).ok().map(|facts| mode(&facts));
        (path, content, mode).hash(&mut hasher);
    }
    let mut themes: Vec<PathBuf> = Vec::new();
    if let Some(Ok(entries)) = config.origin.themes.as_ref().map(fs::read_dir) {
        themes.extend(entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| is_theme(path)));
    }
    themes.sort();
    for path in themes {
        let content = fs::read(&path).ok();
        (path, content).hash(&mut hasher);
    }
    Contents { hash: hasher.finish(), main_is_blank }
}

/// Device and number of a folder.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity_of(folder: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder).ok().map(|facts| (facts.dev(), facts.ino()))
}

#[cfg(not(unix))]
fn identity_of(folder: &Path) -> Option<Identity> {
    folder.is_dir().then_some((0, 0))
}

#[cfg(unix)]
fn mode(facts: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(facts)
}

#[cfg(not(unix))]
fn mode(facts: &fs::Metadata) -> u32 {
    u32::from(facts.permissions().readonly())
}

fn is_theme(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// The folders that are watched; by default none, so that files are polled.
#[derive(Default)]
struct Eyes {
    watcher: Option<RecommendedWatcher>,
    /// With what each folder was when it began to be watched: another one may come to have its name.
    folders: HashMap<PathBuf, Identity>,
    names: Arc<std::sync::RwLock<HashSet<OsString>>>,
    stirred: Arc<Notify>,
}

impl Eyes {
    fn open() -> Self {
        let stirred = Arc::new(Notify::new());
        let names = Arc::new(std::sync::RwLock::new(HashSet::new()));
        let (notify, known) = (Arc::clone(&stirred), Arc::clone(&names));
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let known = known.read().expect("nothing panics while it holds this lock");
            if event.is_ok_and(|event| concerns(&event, &known)) {
                notify.notify_one();
            }
        });
        let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "files are polled instead of watched")).ok();
        Self { watcher, folders: HashMap::new(), names, stirred }
    }

    /// Watches what this configuration was made of.
    fn look_at(&mut self, config: &Config) {
        let mut trail = Trail::default();
        config.origin.sources.iter().for_each(|path| trail.follow(path));
        // A file that may be made in the folder of themes; its name does not matter.
        config.origin.themes.iter().for_each(|folder| trail.follow(&folder.join("any.toml")));
        *self.names.write().expect("nothing panics while it holds this lock") = trail.names;
        let Some(watcher) = &mut self.watcher else { return };
        self.folders.retain(|folder, identity| {
            let keep = trail.folders.contains(folder) && identity_of(folder).is_some_and(|now| now == *identity);
            if !keep {
                // The system stops watching a folder that is gone by itself.
                drop(watcher.unwatch(folder));
            }
            keep
        });
        for folder in trail.folders {
            let Some(identity) = identity_of(&folder).filter(|_| !self.folders.contains_key(&folder)) else { continue };
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => _ = self.folders.insert(folder, identity),
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "files are polled instead of watched");
                    self.watcher = None;
                    return;
                }
            }
        }
    }

    /// Waits until something may have changed and is quiet again.
    async fn changed(&self) {
        if self.watcher.is_none() {
            sleep(POLL).await;
            return;
        }
        self.stirred.notified().await;
        let latest = Instant::now() + LONGEST_WAIT;
        while Instant::now() < latest && timeout(QUIET, self.stirred.notified()).await.is_ok() {}
    }
}

/// True for changes of a file with one of these names, or of a theme. Reading is no change: qtop reads them itself.
fn concerns(event: &Event, names: &HashSet<OsString>) -> bool {
    let changes = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    let named = |path: &PathBuf| is_theme(path) || path.file_name().is_some_and(|name| names.contains(name));
    changes && (event.need_rescan() || event.paths.iter().any(named))
}

/// The folders a path leads through by links, and the names in them that matter.
#[derive(Default)]
struct Trail {
    folders: HashSet<PathBuf>,
    names: HashSet<OsString>,
}

impl Trail {
    /// Walks along a path. Where it ends early because something is missing, the last folder that is there is kept:
    /// that is where the missing one would appear.
    fn follow(&mut self, path: &Path) {
        let start = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut links = 0;
        let mut rest: Vec<OsString> = pieces(&start);
        rest.reverse();
        let mut here = PathBuf::new();
        while let Some(piece) = rest.pop() {
            if piece == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&piece);
            match fs::read_link(&next) {
                Ok(target) if links < MOST_LINKS => {
                    links += 1;
                    self.keep(&here, piece);
                    if target.is_absolute() {
                        here = PathBuf::new();
                    }
                    rest.extend(pieces(&target).into_iter().rev());
                }
                _ if rest.is_empty() || !next.is_dir() => {
                    self.keep(&here, piece);
                    // The folder itself may be replaced by another of its name.
                    if let (Some(around), Some(name)) = (here.parent(), here.file_name()) {
                        self.keep(around, name.to_owned());
                    }
                    return;
                }
                _ => here = next,
            }
        }
    }

    fn keep(&mut self, folder: &Path, name: OsString) {
        if folder.is_dir() {
            self.folders.insert(folder.to_owned());
            self.names.insert(name);
        }
    }
}

fn pieces(path: &Path) -> Vec<OsString> {
    path.components().filter(|part| *part != Component::CurDir).map(|part| part.as_os_str().to_owned()).collect()
}
