//! Saved with any editor, a configuration takes effect within a second.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use qtop::config::{Config, Environment, Overrides, load};
use qtop::engine::{ConfigEvent, watch};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::corpus::known;

/// The promise.
const SOON: Duration = Duration::from_secs(1);

struct Desk {
    folder: TempDir,
    events: Receiver<ConfigEvent>,
    cancel: CancellationToken,
}

impl Desk {
    /// Begins to watch `config.toml` in the folder.
    fn sit(folder: TempDir) -> Self {
        Self::sit_at(folder, "config.toml")
    }

    fn sit_at(folder: TempDir, name: &str) -> Self {
        let environment = Environment {
            config: Some(folder.path().join(name).parent().expect("a folder").to_owned()),
            ..Environment::default()
        };
        let read = move || {
            let config = load(&Overrides::default(), &environment, &known())?;
            match qtop::theme::load(&config.ui.theme, config.origin.themes.as_deref()) {
                Ok(_) => Ok(config),
                Err(problems) => Err(qtop::config::ConfigProblems::new(problems).expect("problems")),
            }
        };
        let config = Arc::new(read().expect("a sound start"));
        let cancel = CancellationToken::new();
        let events = watch(config, read, cancel.clone());
        Self { folder, events, cancel }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn event(&mut self, after: &str) -> ConfigEvent {
        let began = Instant::now();
        let event = timeout(SOON, self.events.recv()).await;
        let event = event.unwrap_or_else(|_| panic!("nothing within {SOON:?} after: {after}"));
        eprintln!("{after}: {:?}", began.elapsed());
        event.expect("the watcher lives")
    }

    async fn changed(&mut self, after: &str) -> Arc<Config> {
        match self.event(after).await {
            ConfigEvent::Changed(config) => config,
            ConfigEvent::Broken(problems) => panic!("{after}: {problems}"),
        }
    }

    async fn theme(&mut self, after: &str) -> String {
        self.changed(after).await.ui.theme.clone()
    }

    async fn silence(&mut self, after: &str) {
        if let Ok(event) = timeout(SOON, self.events.recv()).await {
            panic!("{after}: {event:?}");
        }
    }
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    put(&folder.path().join("config.toml"), "light");
    folder
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("changed");
    }
}

fn put(path: &Path, theme: &str) {
    write(path, &format!("[ui]\ntheme = \"{theme}\"\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_saving_takes_effect_within_a_second() {
    let mut desk = Desk::sit(folder());
    let (file, spare) = (desk.path("config.toml"), desk.path("config.toml.new"));

    put(&file, "mono");
    assert_eq!(desk.theme("written in place").await, "mono");

    put(&spare, "dark");
    fs::rename(&spare, &file).expect("renamed");
    assert_eq!(desk.theme("renamed over").await, "dark");

    // As vim does it with a backup: the old file is moved away, a new one is written.
    fs::rename(&file, desk.path("config.toml~")).expect("renamed");
    put(&file, "light");
    assert_eq!(desk.theme("moved away and written anew").await, "light");

    // In several steps, of which the first leaves an empty file.
    fs::write(&file, "").expect("emptied");
    tokio::time::sleep(Duration::from_millis(120)).await;
    put(&file, "ansi16");
    assert_eq!(desk.theme("emptied and filled").await, "ansi16");

    put(&spare, "mono");
    fs::remove_file(&file).expect("removed");
    fs::hard_link(&spare, &file).expect("linked");
    assert_eq!(desk.theme("removed and linked").await, "mono");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn links_are_followed_to_where_they_lead() {
    use std::os::unix::fs::symlink;

    // As mounted by a cluster: config.toml -> ..data/config.toml, ..data -> ..1, swapped by a rename.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    for (version, theme) in [("..1", "light"), ("..2", "dark")] {
        fs::create_dir(path(version)).expect("made");
        put(&path(version).join("config.toml"), theme);
    }
    symlink("..1", path("..data")).expect("linked");
    symlink("..data/config.toml", path("config.toml")).expect("linked");
    let mut desk = Desk::sit(folder);
    symlink("..2", desk.path("..new")).expect("linked");
    fs::rename(desk.path("..new"), desk.path("..data")).expect("renamed");
    assert_eq!(desk.theme("the middle link swapped").await, "dark");
    put(&desk.path("..2/config.toml"), "mono");
    assert_eq!(desk.theme("written behind the links").await, "mono");

    // As kept with other dotfiles: a link into another folder.
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let real = elsewhere.path().join("qtop.toml");
    put(&real, "light");
    fs::remove_file(desk.path("config.toml")).expect("removed");
    symlink(&real, desk.path("config.toml")).expect("linked");
    assert_eq!(desk.theme("linked elsewhere").await, "light");
    put(&elsewhere.path().join("new"), "dark");
    fs::rename(elsewhere.path().join("new"), &real).expect("renamed");
    assert_eq!(desk.theme("renamed over at the end of the link").await, "dark");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_told_and_undoing_it_too() {
    let mut desk = Desk::sit(folder());
    let file = desk.path("config.toml");
    write(&file, "[ui]\nthem = \"dark\"\n");
    match desk.event("broken").await {
        ConfigEvent::Broken(problems) => assert!(problems.summary().contains("config.toml:2:1"), "{problems}"),
        ConfigEvent::Changed(config) => panic!("{config:?}"),
    }
    put(&file, "light");
    assert_eq!(desk.theme("undone").await, "light", "told although nothing differs: the banner must go");
    fs::remove_file(&file).expect("removed");
    assert_eq!(desk.theme("removed").await, "dark", "without a file the defaults hold");
    put(&file, "mono");
    assert_eq!(desk.theme("made again").await, "mono");
}

#[tokio::test(flavor = "multi_thread")]
async fn themes_and_secrets_are_watched_too() {
    let folder = folder();
    write(&folder.path().join("config.toml"), "[ui]\ntheme = \"dark\"\n[server.a]\nurl_file = \"secret/url\"\n");
    fs::create_dir(folder.path().join("secret")).expect("made");
    write(&folder.path().join("secret/url"), "redis://one\n");
    let mut desk = Desk::sit(folder);

    write(&desk.path("secret/url"), "redis://two\n");
    let config = desk.changed("secret written").await;
    assert_eq!(config.servers["a"].url.as_ref().expect("read").expose(), "redis://two");

    fs::create_dir(desk.path("themes")).expect("made");
    // The folder of themes is noticed first, its files from then on.
    tokio::time::sleep(Duration::from_millis(300)).await;
    write(&desk.path("themes/dark.toml"), "inherits = \"dark\"\n[roles]\nok = \"#112233\"\n");
    desk.changed("theme made").await;
    write(&desk.path("themes/dark.toml"), "inherits = \"dark\"\n[roles]\nok = \"nonsense\"\n");
    match desk.event("theme broken").await {
        ConfigEvent::Broken(problems) => assert!(problems.summary().contains("dark.toml:3"), "{problems}"),
        ConfigEvent::Changed(_) => panic!("a broken theme was taken"),
    }
    write(&desk.path("themes/dark.toml"), "inherits = \"dark\"\n");
    desk.changed("theme mended").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_appears_later_or_is_replaced_is_seen() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut desk = Desk::sit_at(folder, "qtop/config.toml");
    fs::create_dir(desk.path("qtop")).expect("made");
    put(&desk.path("qtop/config.toml"), "light");
    assert_eq!(desk.theme("folder made").await, "light");
    fs::create_dir(desk.path("other")).expect("made");
    put(&desk.path("other/config.toml"), "mono");
    fs::rename(desk.path("qtop"), desk.path("old")).expect("renamed");
    fs::rename(desk.path("other"), desk.path("qtop")).expect("renamed");
    assert_eq!(desk.theme("folder replaced").await, "mono");
    put(&desk.path("qtop/config.toml"), "dark");
    assert_eq!(desk.theme("written in the new folder").await, "dark");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_is_not_told_and_the_end_is_the_end() {
    let mut desk = Desk::sit(folder());
    put(&desk.path("config.toml"), "light");
    write(&desk.path("notes.txt"), "not ours");
    let _ = fs::read(desk.path("config.toml")).expect("read");
    desk.silence("the same content, another file, reading").await;
    desk.cancel.cancel();
    let end = timeout(SOON, desk.events.recv()).await.expect("ends when cancelled");
    assert_eq!(end, None);
}
