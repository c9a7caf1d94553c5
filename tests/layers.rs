//! The borders of ARCHITECTURE §2: who may import whom, and which foreign crates a layer may not know.
//!
//! Reads the source as tokens, so comments and strings do not count. Code of tests (`#[cfg(test)]` to the end of the
//! file, files named `tests.rs`, folders named `tests`) is free.

mod layers {
    pub mod rules;
    pub mod tokens;
}

use std::fs;
use std::path::{Path, PathBuf};

use layers::rules::{check, wiring};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file, by its path below `src`, with its text.
fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found.sort();
    let read = |path: &PathBuf| {
        let below = path.strip_prefix(&root).expect("found below the root").to_string_lossy().into_owned();
        (below, fs::read_to_string(path).expect("readable source"))
    };
    found.iter().map(read).collect()
}

#[test]
fn layers_import_only_what_the_architecture_allows() {
    let files = all();
    assert!(files.len() > 10, "the sources were found");
    let violations: Vec<String> = files.iter().flat_map(|(path, text)| check(path, text)).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_folder_is_a_known_layer() {
    for (path, _) in all() {
        let layer = path.split('/').next().expect("a path has a first part").trim_end_matches(".rs");
        let known = ["domain", "config", "theme", "log", "link", "systems", "engine", "app", "ui"];
        assert!(known.contains(&layer) || wiring(layer), "src/{path}: {layer} is in no layer of tests/layers/rules.rs");
    }
}

#[test]
fn files_stay_readable() {
    for (path, text) in all() {
        let lines = text.lines().count();
        assert!(lines <= 600, "src/{path} has {lines} lines; split it by purpose (600 at most)");
        if path.ends_with("mod.rs") {
            assert!(text.starts_with("//!"), "src/{path} must open with what the folder is for and must not do");
        }
    }
}

/// Each of these must be caught; otherwise the tests above prove nothing.
#[test]
fn violations_are_caught() {
    let caught: &[(&str, &str)] = &[
        ("domain/queue.rs", "use crate::link::Link;"),
        ("domain/queue.rs", "use tokio::sync::mpsc;"),
        ("domain/queue.rs", "fn f() -> redis::Value { todo() }"),
        ("domain/queue.rs", "use ratatui::style::Style;"),
        ("domain/deep/queue.rs", "use super::super::super::link::Link;"),
        ("link/send.rs", "use crate::systems::System;"),
        ("link/send.rs", "use crossterm::event::Event;"),
        ("systems/list/mod.rs", "use crate::config::Config;"),
        ("systems/list/mod.rs", "use crate::{domain::ids::Name, engine::Sampler};"),
        ("systems/list/mod.rs", "use {crate::engine::Sampler, std::fmt};"),
        ("systems/list/mod.rs", "fn f() { tokio::spawn(async {}); }"),
        ("systems/list/mod.rs", "use std::process::Command;"),
        ("engine/sampler.rs", "use crate::{\n    app::{State, Message},\n    domain::ids::Name,\n};"),
        ("engine/sampler.rs", "fn f(x: crate::ui::Geometry) {}"),
        ("engine/sampler.rs", "use ratatui::Frame;"),
        ("domain/queue.rs", "use std::net::TcpStream;"),
        ("app/update.rs", "use std::sync::Mutex;"),
        ("app/update.rs", "use std::sync::{Arc, RwLock};"),
        ("app/update.rs", "use crate::engine::Fetcher;"),
        ("app/update.rs", "async fn f() { tokio::time::sleep(d).await }"),
        ("app/update.rs", "fn f() { let text = std::fs::read_to_string(p); }"),
        ("ui/mod.rs", "use crate::config::Config;"),
        ("ui/mod.rs", "use crate::app::State;\nfn f(state: &mut State) {}"),
        ("ui/mod.rs", "use crate::app::{Screen, state::State as Whole};\nfn f(state: &'a mut Whole) {}"),
        ("ui/mod.rs", "fn f(state: &mut crate::app::State) {}"),
        ("ui/mod.rs", "use crate::app;\nfn f(state: &mut app::State) {}"),
        ("theme/role.rs", "use crate::app::State;"),
        ("config/load.rs", "use anyhow::Result;"),
        ("engine/mod.rs", "use bullmq::Queue;"),
        ("engine/mod.rs", "use crate as root;"),
        ("engine/mod.rs", "use crate::*;"),
    ];
    for (path, text) in caught {
        assert!(!check(path, text).is_empty(), "not caught in src/{path}: {text}");
    }
}

/// And these must not: a test that cries wolf is switched off.
#[test]
fn allowed_imports_pass() {
    let allowed: &[(&str, &str)] = &[
        ("domain/queue.rs", "use crate::domain::ids::Name;\nuse super::state::StateId;\nuse std::fmt;"),
        (
            "domain/queue.rs",
            "// use crate::link::Link;\n/* tokio::spawn /* nested */ */ const A: &str = \"crate::ui\";",
        ),
        ("domain/queue.rs", "const A: &str = r#\"redis:: \" crate::link\"#; const B: char = '\"'; fn f<'a>() {}"),
        ("domain/queue.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use crate::link::Link; use tokio::test; }"),
        ("domain/queue.rs", "fn f(text: &str) -> bool { text.parse::<std::net::IpAddr>().is_ok() }"),
        ("domain/queue/tests.rs", "use crate::link::Link;"),
        ("link/send.rs", "use crate::config::Config;\nuse crate::domain::ids::Name;\nuse redis::Cmd;"),
        ("systems/list/mod.rs", "use crate::link::{Batch, Link};\nuse crate::domain::{ids::Name, job::Job};"),
        ("engine/sampler.rs", "use crate::systems::System;\nuse crate::{config, link, domain};\nuse tokio::spawn;"),
        ("ui/mod.rs", "use crate::app::State;\nfn f(state: &State, frame: &mut Frame<'_>) {}\nuse ratatui::Frame;"),
        ("demo/mod.rs", "use crate::domain::described::Described;\nuse tokio::spawn;\nuse bullmq::Queue;"),
        ("run.rs", "use crate::app::State;\nuse crate::ui;\nuse anyhow::Result;\nfn f(state: &mut State) {}"),
    ];
    for (path, text) in allowed {
        assert_eq!(check(path, text), Vec::<String>::new(), "src/{path}: {text}");
    }
}
