//! The table of borders and the search for what crosses them.

use super::tokens::{Token, tokens};

struct Layer {
    name: &'static str,
    /// Other layers it may import.
    may: &'static [&'static str],
    /// Paths it must not mention: crates, or items of the standard library.
    never: &'static [&'static str],
    /// Words it must not use at all.
    words: &'static [&'static str],
}

const NO_SCREEN: &[&str] = &["ratatui", "crossterm", "tui_input"];
const PURE: &[&str] = &["tokio", "tokio_util", "tokio_stream", "redis", "ratatui", "crossterm", "std::fs"];
const WAITS_FOR_NOTHING: &[&str] =
    &["tokio", "tokio_util", "tokio_stream", "redis", "std::fs", "std::process", "std::thread"];

/// Addresses are data and may be parsed anywhere; these open something.
const SOCKETS: &[&str] = &["async", "TcpStream", "TcpListener", "UdpSocket", "UnixStream", "ToSocketAddrs"];
const NEITHER_SOCKETS_NOR_LOCKS: &[&str] =
    &["async", "TcpStream", "TcpListener", "UdpSocket", "UnixStream", "ToSocketAddrs", "Mutex", "RwLock"];

const LAYERS: &[Layer] = &[
    Layer { name: "domain", may: &[], never: PURE, words: SOCKETS },
    Layer { name: "config", may: &["domain"], never: &["redis", "ratatui"], words: &[] },
    Layer { name: "theme", may: &["domain"], never: &["redis", "tokio"], words: &[] },
    Layer { name: "log", may: &["domain"], never: &["redis", "ratatui", "crossterm"], words: &[] },
    Layer { name: "link", may: &["config", "domain"], never: NO_SCREEN, words: &[] },
    Layer {
        name: "systems",
        may: &["link", "domain"],
        never: &["ratatui", "crossterm", "tui_input", "std::process", "std::thread", "std::fs"],
        words: &["spawn", "spawn_blocking", "spawn_local", "JoinSet"],
    },
    Layer { name: "engine", may: &["systems", "link", "config", "domain"], never: NO_SCREEN, words: &[] },
    Layer { name: "app", may: &["config", "domain"], never: WAITS_FOR_NOTHING, words: NEITHER_SOCKETS_NOR_LOCKS },
    Layer { name: "ui", may: &["app", "theme", "domain"], never: WAITS_FOR_NOTHING, words: NEITHER_SOCKETS_NOR_LOCKS },
];

/// Layers that put the others together.
const WIRING: &[&str] = &["main", "lib", "run", "cli", "term", "demo"];

/// Crates with one home.
const HOMES: &[(&str, &[&str])] =
    &[("anyhow", &["main", "run", "cli"]), ("bullmq", &["demo"]), ("clap", &["main", "cli"]), ("sqlx", &["systems"])];

/// True for the layers that may use everything.
pub fn wiring(layer: &str) -> bool {
    WIRING.contains(&layer)
}

/// Every violation in one file, as `src/PATH:LINE: what`.
pub fn check(path: &str, source: &str) -> Vec<String> {
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    if parts[1..].contains(&"tests") {
        return Vec::new();
    }
    let name = parts[0];
    let layer = LAYERS.iter().find(|layer| layer.name == name);
    let row = without_tests(tokens(source));
    let mut found = Vec::new();
    let mut report = |line: usize, what: String| found.push(format!("src/{path}:{line}: {what}"));

    for (home, layers) in HOMES {
        if !layers.contains(&name) {
            mentions(&row, home)
                .for_each(|line| report(line, format!("{home} belongs into {} only", layers.join(", "))));
        }
    }
    let Some(layer) = layer else { return found };
    for crossed in layer.never {
        mentions(&row, crossed).for_each(|line| report(line, format!("{name} must not know {crossed}")));
    }
    for word in layer.words {
        let uses = row.iter().filter(|token| token.text == *word);
        uses.for_each(|token| report(token.line, format!("{name} must not use {word}")));
    }
    for (other, line) in imported(&row) {
        if other != name && !layer.may.contains(&other.as_str()) {
            report(line, format!("{name} must not import crate::{other} (it may: {})", layer.may.join(", ")));
        }
    }
    // The file's own module is as deep as its path; `mod.rs` stands for its folder.
    let depth = parts.len() - usize::from(parts.last() == Some(&"mod"));
    for (count, line) in ascents(&row) {
        if count >= depth {
            report(line, "super:: leaves the layer; write crate:: so that the border can be seen".to_owned());
        }
    }
    if name == "ui" {
        changed_app(&row).into_iter().for_each(|line| report(line, "ui takes app by shared reference only".to_owned()));
    }
    found
}

/// Cuts the row at `#[cfg(test)]` that introduces a module; by convention that is the end of a file.
fn without_tests(mut row: Vec<Token>) -> Vec<Token> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let is_mark = |window: &[Token]| window.iter().zip(mark).all(|(token, sign)| token.text == sign);
    if let Some(end) = row.windows(mark.len()).position(is_mark) {
        row.truncate(end);
    }
    row
}

/// Lines on which a path beginning with `wanted` (`tokio`, `std::fs`) is written, grouped imports included.
fn mentions<'a>(row: &'a [Token], wanted: &'a str) -> impl Iterator<Item = usize> + 'a {
    let (first, second) = wanted.split_once("::").map_or((wanted, None), |(first, second)| (first, Some(second)));
    row.iter().enumerate().filter_map(move |(at, token)| {
        let before = at.checked_sub(1).map(|before| row[before].text.as_str());
        if token.text != first || matches!(before, Some("::" | ".")) {
            return None;
        }
        let follows = row.get(at + 1).is_some_and(|next| next.text == "::");
        let named = match second {
            None => follows || before == Some("use"),
            Some(second) => follows && leaves(row, at + 2).iter().any(|(path, _)| path[0] == second),
        };
        named.then_some(token.line)
    })
}

/// First segments after each `crate::`, with their lines.
fn imported(row: &[Token]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, token) in row.iter().enumerate() {
        // `pub(crate)` and `$crate` in macros are no imports.
        if token.text != "crate" || row.get(at.wrapping_sub(1)).is_some_and(|before| before.text == "$") {
            continue;
        }
        match row.get(at + 1).map(|next| next.text.as_str()) {
            Some("::") => found.extend(leaves(row, at + 2).into_iter().map(|(path, line)| (path[0].clone(), line))),
            Some("as") => found.push(("(the whole crate)".to_owned(), token.line)),
            _ => {}
        }
    }
    found
}

/// The paths that begin at `at`: one, or all of a group in braces. Each is a list of segments, never empty; the last
/// segment is the name it has in this file (after `as`).
fn leaves(row: &[Token], at: usize) -> Vec<(Vec<String>, usize)> {
    leaves_and_end(row, at).0
}

fn leaves_and_end(row: &[Token], mut at: usize) -> (Vec<(Vec<String>, usize)>, usize) {
    let mut found = Vec::new();
    let Some(token) = row.get(at) else { return (found, at) };
    if token.text == "{" {
        at += 1;
        while row.get(at).is_some_and(|token| token.text != "}") {
            if row[at].text == "," {
                at += 1;
                continue;
            }
            let (inner, end) = leaves_and_end(row, at);
            found.extend(inner);
            at = end.max(at + 1);
        }
        return (found, at + 1);
    }
    let (head, line) = (token.text.clone(), token.line);
    match row.get(at + 1).map(|next| next.text.as_str()) {
        Some("::") => {
            let (inner, end) = leaves_and_end(row, at + 2);
            found.extend(inner.into_iter().map(|(path, line)| ([vec![head.clone()], path].concat(), line)));
            (found, end)
        }
        Some("as") => {
            let name = row.get(at + 2).map(|token| token.text.clone()).unwrap_or_default();
            (vec![(vec![head, name], line)], at + 3)
        }
        _ => (vec![(vec![head], line)], at + 1),
    }
}

/// Runs of `super::`, with their length and line.
fn ascents(row: &[Token]) -> Vec<(usize, usize)> {
    let is_super = |at: usize| row.get(at).is_some_and(|token| token.text == "super");
    let starts = (0..row.len()).filter(|&at| is_super(at) && !(at >= 2 && is_super(at - 2)));
    starts.map(|at| ((0..).take_while(|step| is_super(at + 2 * step)).count(), row[at].line)).collect()
}

/// Lines that take something of `app` by `&mut`.
fn changed_app(row: &[Token]) -> Vec<usize> {
    let mut names = vec!["app".to_owned()];
    for (at, token) in row.iter().enumerate() {
        if token.text == "crate" && row.get(at + 1).is_some_and(|next| next.text == "::") {
            let of_app = leaves(row, at + 2).into_iter().filter(|(path, _)| path[0] == "app");
            names.extend(of_app.filter_map(|(path, _)| path.last().cloned()));
        }
    }
    let mut found = Vec::new();
    for (at, token) in row.iter().enumerate() {
        if token.text != "&" {
            continue;
        }
        let lifetime = usize::from(row.get(at + 1).is_some_and(|next| next.text.starts_with('\'')));
        let start = at + 1 + lifetime;
        if row.get(start).is_none_or(|next| next.text != "mut") {
            continue;
        }
        let path = leaves(row, start + 1).into_iter().flat_map(|(path, _)| path);
        if path.into_iter().any(|segment| names.contains(&segment)) {
            found.push(token.line);
        }
    }
    found
}
