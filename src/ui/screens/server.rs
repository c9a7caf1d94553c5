//! The Server screen: facts about Redis that matter to queues, and what qtop itself costs it.

use std::time::Duration;

use ratatui::layout::Rect;

use super::Body;
use crate::domain::queue::Severity;
use crate::domain::snapshot::LinkHealth;
use crate::domain::text;
use crate::theme::{Glyphs, Role};
use crate::ui::canvas::{Canvas, Phrase};
use crate::ui::scene::Scene;
use crate::ui::widgets::lines::scrolled;
use crate::ui::widgets::{badge, empty};

/// Columns of the labels.
const LABEL: usize = 16;

/// Draws the screen.
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> Body {
    let body = Body { rows: area.height, top: area.y };
    if scene.snapshot.seq == 0 {
        let lines: Vec<String> = match &scene.snapshot.link {
            LinkHealth::Connecting { last_error } => last_error.iter().cloned().collect(),
            LinkHealth::Down { error, remedy, .. } => std::iter::once(error).chain(remedy).cloned().collect(),
            LinkHealth::Up => Vec::new(),
        };
        empty::draw(canvas, area, Role::Muted, &format!("Nothing heard of {} yet.", scene.snapshot.url), &lines);
        return body;
    }
    let glyphs = canvas.glyphs();
    let mut top = warnings(scene, glyphs);
    if !top.is_empty() {
        top.push(Phrase::new());
    }
    let (redis, cost) = (redis(scene, glyphs), cost(scene));
    // Side by side where both fit, one below the other where they do not.
    if area.width >= 110 && scene.state.server_scroll == 0 {
        let half = area.width / 2;
        for (y, line) in (area.y..area.bottom()).zip(&top) {
            canvas.phrase(area.x + 1, y, area.width.saturating_sub(2), line);
        }
        let below = area.y + u16::try_from(top.len()).unwrap_or(0);
        let mut cost = cost;
        cost.extend(offers(scene));
        for (lines, x) in [(redis, area.x + 1), (cost, area.x + half)] {
            for (y, line) in (below..area.bottom()).zip(&lines) {
                canvas.phrase(x, y, half.saturating_sub(2), line);
            }
        }
        return body;
    }
    let mut lines = top;
    lines.extend(redis);
    lines.push(Phrase::new());
    lines.extend(cost);
    lines.extend(offers(scene));
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    scrolled(canvas, inner, &lines, scene.state.server_scroll);
    body
}

fn warnings(scene: &Scene<'_>, glyphs: &Glyphs) -> Vec<Phrase> {
    let warning = |warning: &crate::domain::queue::Warning| {
        let (role, sign) = badge::severity(glyphs, warning.severity);
        let words = if warning.severity == Severity::Info { Role::Muted } else { role };
        Phrase::of(role, format!("{sign} ")).and(words, &warning.text)
    };
    scene.snapshot.warnings.iter().map(warning).collect()
}

fn heading(words: &str) -> Phrase {
    Phrase::of(Role::Title, words)
}

fn fact(label: &str, value: Phrase) -> Phrase {
    let mut line = Phrase::of(Role::Muted, text::pad(label, LABEL));
    line.append(value);
    line
}

fn known(value: Option<String>) -> Phrase {
    match value {
        Some(value) => Phrase::of(Role::Text, value),
        None => Phrase::of(Role::Muted, "?"),
    }
}

fn redis(scene: &Scene<'_>, glyphs: &Glyphs) -> Vec<Phrase> {
    let facts = &scene.snapshot.facts;
    let counted = |value: Option<u64>| known(value.map(text::count));
    let product = facts.product.as_deref().unwrap_or("redis");
    let version = facts.version.as_deref().unwrap_or("?");
    let mode = facts.mode.as_deref().unwrap_or("?");
    let mut role = known(facts.role.clone());
    match (&facts.replicas, &facts.primary_link) {
        (_, Some(link)) => role.push(if link == "up" { Role::Muted } else { Role::Error }, format!(", primary {link}")),
        (Some(0), None) => role.push(Role::Muted, ", no replica"),
        (Some(1), None) => role.push(Role::Muted, ", 1 replica"),
        (Some(replicas), None) => role.push(Role::Muted, format!(", {replicas} replicas")),
        (None, None) => {}
    }
    let mut clients = counted(facts.clients);
    if let Some(blocked) = facts.blocked_clients {
        clients.push(Role::Muted, format!(", {} wait in blocking commands", text::count(blocked)));
    }
    let uptime = facts.uptime_seconds.map(|seconds| text::age(Duration::from_secs(seconds)));
    vec![
        heading("Redis"),
        fact("address", Phrase::of(Role::Text, text::fit(&scene.snapshot.url, 60))),
        fact("version", Phrase::of(Role::Text, format!("{product} {version}")).and(Role::Muted, format!(", {mode}"))),
        fact("role", role),
        fact("up for", known(uptime)),
        fact("memory", memory(scene)),
        fact("when full", eviction(scene, glyphs)),
        fact(
            "keys evicted",
            match facts.evicted_keys {
                Some(0) => Phrase::of(Role::Ok, "none"),
                Some(keys) => Phrase::of(Role::Error, format!("{} {}", glyphs.act, text::count(keys))),
                None => known(None),
            },
        ),
        fact("keys", counted(facts.keys)),
        fact("clients", clients),
        fact("commands", known(facts.ops_per_second.map(|ops| format!("{}/s of all clients", text::count(ops))))),
        fact("saved to disk", persistence(scene, glyphs)),
        fact(
            "loading",
            match facts.loading {
                Some(true) => Phrase::of(Role::Warn, "yes, its data set is being read"),
                Some(false) => Phrase::of(Role::Muted, "no"),
                None => known(None),
            },
        ),
    ]
}

fn memory(scene: &Scene<'_>) -> Phrase {
    let facts = &scene.snapshot.facts;
    let mut line = known(facts.memory_used.map(text::size));
    match (facts.memory_used, facts.memory_max) {
        (_, Some(0)) => line.push(Role::Muted, ", no limit set"),
        (Some(used), Some(limit)) => {
            let share = used as f64 * 100.0 / limit as f64;
            let role = if share >= 90.0 { Role::Error } else { Role::Muted };
            line.push(role, format!(" of {}, {}", text::size(limit), text::percent(share)));
        }
        _ => {}
    }
    line
}

fn eviction(scene: &Scene<'_>, glyphs: &Glyphs) -> Phrase {
    match scene.snapshot.facts.eviction_policy.as_deref() {
        Some("noeviction") => Phrase::of(Role::Ok, "noeviction").and(Role::Muted, ", writes fail, jobs stay"),
        Some(policy) => Phrase::of(Role::Warn, format!("{} {policy}", glyphs.look))
            .and(Role::Warn, ": Redis may delete jobs; queues need noeviction"),
        None => known(None),
    }
}

fn persistence(scene: &Scene<'_>, glyphs: &Glyphs) -> Phrase {
    let facts = &scene.snapshot.facts;
    let mut line = match facts.aof {
        Some(true) => Phrase::of(Role::Text, "append-only file"),
        Some(false) => Phrase::of(Role::Text, "no append-only file"),
        None => known(None),
    };
    match (facts.last_save_ok, facts.last_save) {
        (Some(false), _) => line.push(Role::Error, format!(", {} the last snapshot failed", glyphs.act)),
        (_, Some(at)) => {
            line.push(Role::Muted, format!(", snapshot {} ago", text::age(at.age(scene.now))));
        }
        _ => {}
    }
    line
}

/// What qtop costs the server; the overlay shows the same lines.
pub fn cost(scene: &Scene<'_>) -> Vec<Phrase> {
    let cost = &scene.snapshot.cost;
    let per_second = |value: f64, unit: &str| Phrase::of(Role::Text, format!("{}{unit}", text::rate(value)));
    let bytes = text::size(cost.bytes_per_second.max(0.0) as u64);
    let time = match cost.server_ms_per_second {
        Some(millis) => per_second(millis, " ms a second").and(Role::Muted, format!(", {} of a core", share(millis))),
        None => Phrase::of(Role::Muted, "?, this server does not tell"),
    };
    let slowest = match &cost.slowest {
        Some((command, mean)) => {
            Phrase::of(Role::Text, command).and(Role::Muted, format!(", {} on average", text::micros(*mean)))
        }
        None => known(None),
    };
    let totals = &cost.totals;
    let mut lines = vec![
        heading("What qtop costs it"),
        fact("commands", per_second(cost.commands_per_second, " a second")),
        fact("traffic", Phrase::of(Role::Text, format!("{bytes} a second"))),
        fact("server time", time),
        fact("slowest own", slowest),
        fact("round trip", Phrase::of(Role::Text, text::micros(scene.snapshot.rtt))),
        fact("interval", {
            let line = Phrase::of(Role::Text, text::span(cost.interval));
            let wished = scene.state.interval;
            if cost.interval > wished {
                line.and(Role::Muted, format!(", {} was asked for; the budget allows no more", text::span(wished)))
            } else {
                line
            }
        }),
        fact(
            "since start",
            Phrase::of(Role::Text, format!("{} round trips", text::count(totals.round_trips)))
                .and(Role::Muted, format!(", {} commands", text::count(totals.commands))),
        ),
        fact(
            "",
            Phrase::of(Role::Text, format!("{} received", text::size(totals.bytes_in)))
                .and(Role::Muted, format!(", {} sent", text::size(totals.bytes_out))),
        ),
    ];
    let discovery = &scene.snapshot.discovery;
    let mut found = Phrase::of(Role::Text, format!("{} of this pass", text::percent(discovery.share * 100.0)));
    let passes = match discovery.passes {
        0 => "none yet complete".to_owned(),
        passes => format!("{} complete", text::count(passes)),
    };
    found.push(Role::Muted, format!(", {passes}"));
    lines.push(fact("key search", found));
    lines
}

/// Keys that look like queues but are described nowhere: offered with the lines that would describe them.
fn offers(scene: &Scene<'_>) -> Vec<Phrase> {
    let offers = &scene.snapshot.discovery.offers;
    if offers.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Phrase::new(), heading("Keys that may be queues")];
    for offer in offers {
        let length = offer.length.map_or_else(String::new, |length| format!(", {} items", text::count(length)));
        lines.push(Phrase::of(Role::Info, offer.key.to_text()).and(Role::Muted, format!("  {}{length}", offer.kind)));
    }
    lines.push(Phrase::of(Role::Muted, "Lines for the configuration, to be completed:"));
    for line in offers.iter().flat_map(|offer| offer.recipe.lines()) {
        lines.push(Phrase::of(Role::Text, format!("  {line}")));
    }
    lines
}

/// Milliseconds a second as a share of one core.
fn share(millis: f64) -> String {
    format!("{:.2}%", (millis / 10.0).max(0.0))
}
