//! `assets/commands.md` says what qtop sends; it is made from the table, so it cannot say anything else (S2).

use std::fmt::Write;
use std::path::Path;

use qtop::link::{Access, COMMANDS, CommandSpec, Cost, Limit, Mode, SCRIPTED, acl_rule};

const FILE: &str = "assets/commands.md";

fn cost(spec: &CommandSpec) -> String {
    match spec.cost {
        Cost::Constant => "constant".to_owned(),
        Cost::Logarithmic => "logarithmic".to_owned(),
        Cost::Arguments => "number of arguments".to_owned(),
        Cost::Linear(what) => what.to_owned(),
    }
}

fn bound(spec: &CommandSpec) -> String {
    match spec.limit {
        Limit::None => String::new(),
        Limit::Span { max } if spec.name == "GETRANGE" => format!("{max} bytes"),
        Limit::Span { max } | Limit::SortedRange { max } | Limit::PageRequired { max } => format!("{max} members"),
        Limit::Required { max, .. } => format!("{max} entries"),
        Limit::Step { max, .. } => format!("COUNT {max}"),
        Limit::Named { max, .. } => format!("{max} names"),
        Limit::Samples { max } => format!("{max} samples"),
        Limit::StreamFull { max } => format!("FULL only with COUNT {max}"),
        Limit::Pending { max } => format!("{max} entries"),
    }
}

fn table(text: &mut String, title: &str, access: &[Access]) {
    writeln!(text, "\n## {title}\n\n| command | server time grows with | at most | since |").unwrap();
    writeln!(text, "| --- | --- | --- | --- |").unwrap();
    for spec in COMMANDS.iter().filter(|spec| access.contains(&spec.access)) {
        let since = if spec.since <= (2, 8) { String::new() } else { format!("{}.{}", spec.since.0, spec.since.1) };
        writeln!(text, "| {} | {} | {} | {since} |", spec.title(), cost(spec), bound(spec)).unwrap();
    }
}

fn render() -> String {
    let mut text = "# What qtop sends to Redis\n\n\
        Made from the table in `src/link/commands.rs`. One gate before the socket lets these commands pass, within these\n\
        bounds, and nothing else.\n"
        .to_owned();
    table(&mut text, "Reading", &[Access::Read]);
    table(&mut text, "About the connection and the server", &[Access::Connection, Access::Admin]);
    text.push_str("\n`CLIENT LIST` is sent for the Workers screen only.\n");
    table(&mut text, "Changing, where changes are allowed", &[Access::Write]);
    let scripted: Vec<String> = SCRIPTED.iter().map(|(name, _)| name.replace('|', " ")).collect();
    writeln!(text, "\nScripts, which are part of qtop, call these beside the above: {}.", scripted.join(", ")).unwrap();
    text.push_str(
        "\n## A user that may do just this\n\n\
         `PATTERN` stands for the keys to be seen, for example `bull:*`; several are written one after the other, each\n\
         with its sign before it. A line that names a subcommand the server does not know is refused as a whole, so take\n\
         the one for the newest version that is not newer than the server. Before Redis 7 a user cannot be kept to\n\
         reading keys, only to commands that read. Who runs BullMQ's jobs in qtop needs what BullMQ's own workers need:\n\
         their engine does that work. Runners of qtop, and whoever is to see where they run, need `qtop:*` as well.\n",
    );
    for version in [(6, 0), (6, 2), (7, 0), (7, 2)] {
        for (mode, what) in [(Mode::ReadOnly, "reading"), (Mode::ReadWrite, "changing")] {
            let rule = acl_rule(version, &["PATTERN"], mode).unwrap();
            let (major, minor) = version;
            writeln!(text, "\nRedis {major}.{minor}, {what}:\n\n    ACL SETUSER qtop on >PASSWORD {rule}").unwrap();
        }
    }
    text
}

#[test]
fn s2_the_document_is_made_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let rendered = render();
    if std::env::var_os("QTOP_WRITE_DOCUMENTS").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == rendered, "{FILE} is not what the table says: run this test with QTOP_WRITE_DOCUMENTS=1");
}

/// The scripts below a folder.
fn scripts(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scripts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "lua") {
            found.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn s2_what_scripts_call_is_in_a_table_and_nothing_else_is() {
    let mut texts = Vec::new();
    scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    let mut called = std::collections::BTreeSet::new();
    for call in texts.iter().flat_map(|text| text.split("call('").skip(1)) {
        let mut words = call.split('\'');
        let name = words.next().unwrap().to_ascii_uppercase();
        // The second word counts where the server keeps several commands under the first.
        called.insert(match name.as_str() {
            "XGROUP" | "XINFO" => format!("{name}|{}", words.nth(1).unwrap()),
            _ => name,
        });
    }
    assert!(called.len() > 50, "{called:?}");
    let sent = |name: &str| COMMANDS.iter().any(|spec| spec.server_name().eq_ignore_ascii_case(name));
    let missing: Vec<&String> =
        called.iter().filter(|name| !sent(name) && !SCRIPTED.iter().any(|(known, _)| known == name)).collect();
    assert!(missing.is_empty(), "add them to SCRIPTED: {missing:?}");
    let idle: Vec<_> = SCRIPTED.iter().filter(|(name, _)| sent(name) || !called.contains(*name)).collect();
    assert!(idle.is_empty(), "no script needs them in SCRIPTED: {idle:?}");
}
