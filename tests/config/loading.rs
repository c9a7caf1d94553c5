//! Files, variables and arguments, in that order.

use std::fs;
use std::path::Path;
use std::time::Duration;

use qtop::config::{Config, ConfigProblems, Environment, Overrides, ServerUrl, load};
use qtop::domain::appearance::{ColourChoice, GlyphChoice};
use tempfile::TempDir;

use crate::corpus::known;

const TWO: &str = "default_server = \"a\"\n[server.a]\nurl = \"rediss://a\"\nca = \"ca.pem\"\n[server.b]\nurl = \"redis://b\"\n\
                   env = \"prod\"\n[ui]\ntheme = \"light\"\n[refresh]\ninterval = \"2s\"\n";

struct Place {
    folder: TempDir,
    environment: Environment,
}

impl Place {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let environment = Environment {
            home: Some(folder.path().join("home")),
            config: Some(folder.path().to_owned()),
            state: Some(folder.path().join("state")),
            ..Environment::default()
        };
        let place = Self { folder, environment };
        place.write("config.toml", text);
        place
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        chmod(&path, 0o600);
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn load(&self, overrides: &Overrides) -> Result<Config, ConfigProblems> {
        load(overrides, &self.environment, &known())
    }

    fn chosen(&self, overrides: &Overrides) -> String {
        let config = self.load(overrides).map_err(|problems| problems.to_string()).expect("sound");
        assert!(config.servers.contains_key(&config.origin.chosen));
        config.origin.chosen
    }

    fn refused(&self, overrides: &Overrides) -> String {
        let problems = self.load(overrides).expect_err("refused").to_string();
        problems.replace(&self.folder.path().display().to_string(), "FOLDER")
    }
}

#[cfg(unix)]
fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
}

#[cfg(not(unix))]
fn chmod(_: &Path, _: u32) {}

fn url(text: &str) -> Overrides {
    Overrides { url: Some(ServerUrl::new(text)), ..Overrides::default() }
}

fn server(name: &str) -> Overrides {
    Overrides { server: Some(name.to_owned()), ..Overrides::default() }
}

#[test]
fn without_a_file_the_defaults_hold_and_the_local_server_is_watched() {
    let place = Place::new("");
    fs::remove_file(place.path("config.toml")).expect("removed");
    let config = place.load(&Overrides::default()).expect("sound");
    assert_eq!(config.origin.file, None);
    assert_eq!(config.origin.chosen, "127.0.0.1:6379");
    assert_eq!(config.servers["127.0.0.1:6379"].url, Some(ServerUrl::new("redis://127.0.0.1:6379")));
    assert_eq!(config.ui, Config::default().ui);
    // It may appear later, so that it is worth watching for.
    assert_eq!(config.origin.sources, [place.path("config.toml")]);
}

#[test]
fn arguments_win_over_variables_and_variables_over_the_file() {
    let none = Overrides::default();
    assert_eq!(Place::new(TWO).chosen(&none), "a");
    assert_eq!(Place::new(TWO).variable("REDIS_URL", "redis://r:1/2").chosen(&none), "r:1/2");
    let both = Place::new(TWO).variable("REDIS_URL", "redis://r").variable("QTOP_URL", "redis://me:pw@q:7");
    assert_eq!(both.chosen(&none), "q:7");
    assert_eq!(both.chosen(&server("b")), "b");
    assert_eq!(both.chosen(&url("redis://x")), "x");
    let named = Place::new(TWO).variable("QTOP_SERVER", "b").variable("REDIS_URL", "redis://r");
    assert_eq!(named.chosen(&none), "b");
    assert_eq!(Place::new("[server.only]\nurl = \"redis://o\"").chosen(&none), "only");
    assert_eq!(Place::new("").variable("QTOP_URL", "redis+unix:///tmp/s.sock").chosen(&none), "/tmp/s.sock");
    assert_eq!(Place::new("").variable("QTOP_URL", "").chosen(&none), "127.0.0.1:6379", "empty is not set");

    let place = Place::new(TWO).variable("QTOP_THEME", "mono").variable("QTOP_INTERVAL", "3s");
    let config = place.load(&none).expect("sound");
    assert_eq!((config.ui.theme.as_str(), config.refresh.interval), ("mono", Duration::from_secs(3)));
    let overrides = Overrides {
        theme: Some("dark".into()),
        interval: Some("500ms".into()),
        color: Some(ColourChoice::Ansi256),
        ascii: true,
        queues: vec!["mail*".into()],
        systems: vec!["list".into()],
        log: Some("warn,qtop::link=trace".into()),
        ..Overrides::default()
    };
    let place = place.variable("QTOP_COLOR", "none").variable("QTOP_GLYPHS", "unicode").variable("QTOP_LOG", "debug");
    let config = place.load(&overrides).expect("sound");
    assert_eq!((config.ui.theme.as_str(), config.refresh.interval), ("dark", Duration::from_millis(500)));
    assert_eq!((config.ui.color, config.ui.glyphs), (ColourChoice::Ansi256, GlyphChoice::Ascii));
    assert_eq!((config.discovery.queues, config.systems.enabled), (vec!["mail*".to_owned()], vec!["list".to_owned()]));
    assert_eq!(config.log.level, "warn,qtop::link=trace");
}

#[test]
fn another_file_is_named_by_variable_or_argument() {
    let place = Place::new("").variable("QTOP_CONFIG", "/nowhere/else.toml");
    assert!(place.refused(&Overrides::default()).contains("/nowhere/else.toml"), "asked for, so it must exist");
    place.write("other.toml", TWO);
    let overrides = Overrides { config: Some(place.path("other.toml")), ..Overrides::default() };
    assert_eq!(place.chosen(&overrides), "a");
}

#[test]
fn paths_start_at_the_file_or_at_home() {
    let text = "[server.a]\nurl = \"rediss://a\"\nca = \"ca.pem\"\ncert = \"~/c.pem\"\nkey = \"/etc/k.pem\"\n\
                [log]\ndirectory = \"logs\"\n";
    let place = Place::new(text);
    let config = place.load(&Overrides::default()).expect("sound");
    let a = &config.servers["a"];
    assert_eq!(a.ca, Some(place.path("ca.pem")));
    assert_eq!(a.cert, Some(place.path("home/c.pem")));
    assert_eq!(a.key.as_deref(), Some(Path::new("/etc/k.pem")));
    assert_eq!(config.origin.logs, Some(place.path("logs")));
    assert_eq!(config.origin.themes, Some(place.path("themes")));
}

#[test]
fn s8_secrets_come_from_variables_and_files_and_are_never_shown() {
    let text = "[server.env]\nurl_env = \"PROD_URL\"\npassword_env = \"PROD_PW\"\n\
                [server.file]\nurl_file = \"url\"\npassword_file = \"pw\"\n[server.gone]\nurl_env = \"GONE\"\n\
                [server.empty]\nurl = \"redis://h\"\npassword_file = \"empty\"\n";
    let place = Place::new(text).variable("PROD_URL", "redis://me:s3cret@h").variable("PROD_PW", "s3cret");
    place.write("url", "redis://f:s3cret@h\nmore\n");
    place.write("pw", "s3cret\n");
    place.write("empty", "\n");
    let config = place.load(&server("env")).expect("sound");
    let exposed = |name: &str| {
        let server = &config.servers[name];
        let password = server.password.as_ref().map(|password| password.expose().to_owned());
        (server.url.as_ref().map(|url| url.expose().to_owned()), password)
    };
    assert_eq!(exposed("env"), (Some("redis://me:s3cret@h".into()), Some("s3cret".into())));
    assert_eq!(exposed("file"), (Some("redis://f:s3cret@h".into()), Some("s3cret".into())));
    assert!(config.origin.sources.contains(&place.path("pw")), "changes of a secret's file are seen");
    let shown = format!("{config:?}\n{}", qtop::config::print(&config));
    assert!(!shown.contains("s3cret"), "{shown}");
    insta::assert_snapshot!(place.refused(&server("gone")), @r#"
    error: the environment variable GONE is not set
     --> server gone
      = help: set it, or choose another server with -s NAME
    "#);
    assert!(place.refused(&server("empty")).contains("first line is empty"));
}

#[test]
fn read_only_holds_wherever_one_goes() {
    for place in [Place::new(TWO).variable("QTOP_READ_ONLY", "1"), Place::new(TWO)] {
        let asked = place.environment.variables.is_empty();
        let overrides = Overrides { read_only: asked, ..url("redis://x") };
        let config = place.load(&overrides).expect("sound");
        assert!(config.servers.values().all(|server| server.read_only_reason().is_some()));
    }
    let config = Place::new(TWO).variable("QTOP_READ_ONLY", "0").load(&Overrides::default()).expect("sound");
    assert!(config.servers["a"].read_only_reason().is_none());
    assert!(config.servers["b"].read_only_reason().is_some(), "production");
}

#[test]
fn what_is_wrong_outside_the_file_is_told_together() {
    let place = Place::new(TWO)
        .variable("QTOP_COLOR", "pink")
        .variable("QTOP_GLYPHS", "runes")
        .variable("QTOP_INTERVAL", "often")
        .variable("QTOP_LOG", "loud")
        .variable("QTOP_THEME", "drak");
    let overrides = Overrides {
        server: Some("c".into()),
        systems: vec!["sidekik".into()],
        theme: Some("pale".into()),
        interval: Some("1ms".into()),
        log: Some("whisper".into()),
        ..Overrides::default()
    };
    insta::assert_snapshot!(place.refused(&overrides));
    let tls = Overrides { insecure: true, cert: Some("c.pem".into()), ..server("b") };
    insta::assert_snapshot!("tls_arguments", Place::new(TWO).refused(&tls));
    let wrong = Place::new("").refused(&url("http://me:s3cret@h"));
    assert!(wrong.contains("--url") && !wrong.contains("s3cret"), "{wrong}");
}

#[test]
fn several_servers_and_none_chosen_is_asked_back() {
    let place = Place::new("[server.a]\nurl = \"redis://a\"\n[server.b]\nurl = \"redis://b\"\n");
    insta::assert_snapshot!("none_chosen", place.refused(&Overrides::default()));
    assert_eq!(place.chosen(&server("b")), "b");
}

#[cfg(unix)]
#[test]
fn s17_files_that_others_may_write_are_refused() {
    let place = Place::new(TWO);
    for (mode, refused) in [(0o600, false), (0o644, false), (0o444, false), (0o664, true), (0o666, true), (0o602, true)]
    {
        chmod(&place.path("config.toml"), mode);
        match place.load(&Overrides::default()) {
            Ok(_) => assert!(!refused, "{mode:o}"),
            Err(problems) => assert!(refused && problems.to_string().contains("chmod go-w"), "{mode:o}: {problems}"),
        }
    }
    insta::assert_snapshot!("writable_by_others", place.refused(&Overrides::default()));
    chmod(&place.path("config.toml"), 0o600);
    place.write("config.toml", "[server.a]\nurl_file = \"url\"\n");
    place.write("url", "redis://h\n");
    chmod(&place.path("url"), 0o622);
    assert!(place.refused(&Overrides::default()).contains("chmod go-w"));
}

#[cfg(unix)]
#[test]
fn s17_files_of_somebody_else_are_refused() {
    let place = Place::new(TWO);
    // Only root may give files away; for others the rule is shown by the system's own files, which root owns.
    if std::os::unix::fs::chown(place.path("config.toml"), Some(4321), None).is_ok() {
        let said = place.refused(&Overrides::default());
        assert!(said.contains("belongs to user 4321"), "{said}");
    }
    let overrides = Overrides { config: Some("/etc/hostname".into()), ..Overrides::default() };
    let said = place.refused(&overrides);
    assert!(!said.contains("belongs to"), "root's files are trusted: {said}");
}

#[test]
fn folders_and_bytes_are_no_configuration() {
    let place = Place::new("");
    let overrides = Overrides { config: Some(place.folder.path().to_owned()), ..Overrides::default() };
    insta::assert_snapshot!("a_folder", place.refused(&overrides));
    fs::write(place.path("config.toml"), b"[ui]\ntheme = \"\xff\"\n").expect("written");
    insta::assert_snapshot!("not_utf8", place.refused(&Overrides::default()));
}

#[test]
fn paths_are_told() {
    let place = Place::new(TWO);
    let paths = qtop::config::paths(&Overrides::default(), &place.environment);
    let shown: Vec<String> =
        paths.iter().map(|(name, path, there)| format!("{name} {} {there}", path.display())).collect();
    let shown = shown.join("\n").replace(&place.folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!("paths", shown);
}
