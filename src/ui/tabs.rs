//! The second line: the screens under the number keys, with counts.

use std::time::Duration;

use ratatui::layout::Rect;

use super::canvas::{Canvas, Phrase};
use super::figures;
use super::scene::Scene;
use crate::app::rows;
use crate::app::screen::Screen;
use crate::domain::queue::{Count, Severity};
use crate::domain::text;
use crate::theme::Role;

/// A list of workers that is older does not count any more.
const YOUNG: Duration = Duration::from_secs(30);

/// Draws the line; returns where each tab of [`Screen::TABS`] lies (an empty span: not shown).
pub fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, at: Rect) -> Vec<(u16, u16)> {
    let root = scene.state.navigation.root();
    let fits = |size: &Size| {
        let sum: u16 = tabs(scene, canvas, *size).iter().map(|(_, phrase)| phrase.width() + 2).sum();
        sum <= at.width + 1
    };
    let size = [Size::Long, Size::Short].into_iter().find(fits).unwrap_or(Size::Tight);
    let tabs = tabs(scene, canvas, size);
    let mut places = Vec::with_capacity(tabs.len());
    let mut x = at.x;
    for (screen, phrase) in tabs {
        let lit = screen == *root;
        let room = at.right().saturating_sub(x);
        if phrase.is_empty() || room < 2 {
            places.push((x, x));
            continue;
        }
        // The sign in front tells the lit tab from the others where there is no colour.
        if lit {
            canvas.text(x, at.y, 1, Role::Accent, canvas.glyphs().cursor);
        }
        let used = canvas.phrase(x + 1, at.y, room - 1, &phrase);
        if lit {
            canvas.tint(Rect::new(x + 1, at.y, used, 1), Role::Accent);
        }
        places.push((x, x + 1 + used));
        x += used + 2;
    }
    places
}

/// How long the titles are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Long,
    Short,
    Tight,
}

fn tabs(scene: &Scene<'_>, canvas: &Canvas<'_>, size: Size) -> Vec<(Screen, Phrase)> {
    let sums = &scene.sums;
    Screen::TABS
        .iter()
        .zip(1..)
        .map(|(screen, number)| {
            // Where nothing runs the screen says so to whoever asks for it, but no tab promises more.
            let runs = scene.state.runner.is_some() || *scene.state.navigation.root() == Screen::Runner;
            if *screen == Screen::Runner && !runs {
                return (screen.clone(), Phrase::new());
            }
            let mut phrase = Phrase::of(Role::Key, format!("{number}"));
            phrase.push(Role::Text, format!(" {}", title(screen, size)));
            match screen {
                Screen::Running => phrase.append(number_after(sums.active, Role::StateActive)),
                Screen::Failures => phrase.append(number_after(sums.failed, Role::StateFailed)),
                Screen::Workers => phrase.append(number_after(workers(scene, sums.workers), Role::Text)),
                Screen::Scheduled if size == Size::Long => {
                    phrase.append(number_after(sums.later, Role::StateScheduled))
                }
                Screen::Server if scene.snapshot.warnings.iter().any(|warning| warning.severity > Severity::Info) => {
                    phrase.push(Role::Warn, format!(" {}", canvas.glyphs().look));
                }
                _ => {}
            }
            (screen.clone(), phrase)
        })
        .collect()
}

/// As the Workers screen has it while that is young; else what the tick knows, which may be less and then says so.
fn workers(scene: &Scene<'_>, alive: Option<Count>) -> Option<Count> {
    let loaded = &scene.state.workers.loaded;
    let young = loaded.age(scene.state.clock.mono).is_some_and(|age| age < YOUNG);
    let listed = loaded.data.as_ref().filter(|_| young).map(|report| match rows::living(&report.workers) {
        Count::Exact(workers) if !report.notes.is_empty() => Count::AtLeast(workers),
        count => count,
    });
    listed.or(alive)
}

fn number_after(count: Option<Count>, role: Role) -> Phrase {
    match count {
        None | Some(Count::Exact(0) | Count::AtLeast(0) | Count::Unknown) => Phrase::new(),
        Some(count) => Phrase::of(role, format!(" {}", figures::count_in(count, 6))),
    }
}

fn title(screen: &Screen, size: Size) -> &'static str {
    match (screen, size) {
        (Screen::Scheduled, Size::Long) => "Scheduled",
        (Screen::Runner, Size::Long) => "Runner",
        (Screen::Server, Size::Long) => "Server",
        (Screen::Logs, Size::Long) => "Logs",
        (Screen::Failures, Size::Tight) => "Fails",
        (Screen::Workers, Size::Tight) => "Work",
        (short, _) => short.title(),
    }
}

/// Tabs inside a screen: titles with counts, the open one lit. Tabs stand closer, then titles get shorter, those that win
/// most first and the open one last, then the line starts further right, until the open one is on the screen.
pub fn inner(canvas: &mut Canvas<'_>, at: Rect, tabs: &[Inner], open: usize) {
    let mut order: Vec<usize> = (0..tabs.len()).collect();
    order.sort_by_key(|index| (*index == open, std::cmp::Reverse(tabs[*index].saving())));
    let attempts = std::iter::once((0, 2)).chain((0..=tabs.len()).map(|short| (short, 1))).chain([(tabs.len(), 0)]);
    let width = |short: usize, gap: u16| {
        let is_short = |index: usize| order.iter().take(short).any(|one| *one == index);
        let sum: u16 = tabs.iter().enumerate().map(|(index, tab)| tab.phrase(is_short(index)).width()).sum();
        sum + (tabs.len() as u16).saturating_sub(1) * (gap + 1) + 2
    };
    let fitting = attempts.into_iter().find(|(short, gap)| width(*short, *gap) <= at.width);
    let (short, gap) = fitting.unwrap_or((tabs.len(), 0));
    let is_short = |index: usize| order.iter().take(short).any(|one| *one == index);
    let mut first = 0;
    if fitting.is_none() {
        // Everything left of the open tab that does not fit beside it is skipped.
        let mut used = tabs.get(open).map_or(0, |tab| tab.phrase(is_short(open)).width()) + 2;
        first = open;
        while first > 0 {
            used += tabs[first - 1].phrase(is_short(first - 1)).width() + gap + 1;
            if used + 2 > at.width {
                break;
            }
            first -= 1;
        }
    }
    let mut x = at.x;
    if first > 0 {
        canvas.text(x, at.y, 1, Role::Muted, canvas.glyphs().ellipsis);
    }
    for (index, tab) in tabs.iter().enumerate().skip(first) {
        let phrase = tab.phrase(is_short(index));
        let room = at.right().saturating_sub(x + 1);
        if room < 3 {
            break;
        }
        if index == open {
            canvas.text(x, at.y, 1, Role::Accent, canvas.glyphs().cursor);
        }
        let used = canvas.phrase(x + 1, at.y, room, &phrase);
        if index == open {
            canvas.tint(Rect::new(x + 1, at.y, used, 1), Role::Accent);
        }
        x += used + 1 + gap;
    }
}

/// A tab inside a screen.
pub struct Inner {
    /// Its title.
    pub title: &'static str,
    /// The title where room is scarce.
    pub short: &'static str,
    /// Number after it.
    pub count: Option<Count>,
    /// Role of the number, if it is above zero.
    pub role: Role,
}

impl Inner {
    /// Columns that the short title wins.
    fn saving(&self) -> usize {
        text::width(self.title).saturating_sub(text::width(self.short))
    }

    fn phrase(&self, short: bool) -> Phrase {
        let title = if short { self.short } else { self.title };
        let dim = matches!(self.count, Some(Count::Exact(0) | Count::Unknown));
        let phrase = Phrase::of(if dim { Role::Muted } else { Role::Text }, title);
        match self.count {
            None | Some(Count::Exact(0)) => phrase,
            Some(Count::Unknown) => phrase.and(Role::Muted, " ?"),
            Some(count) => phrase.and(self.role, format!(" {}", text::counted(count))),
        }
    }
}
