//! The second line: the screens under the number keys, with counts.

use ratatui::layout::Rect;

use super::canvas::{Canvas, Phrase};
use super::figures;
use super::scene::Scene;
use crate::app::screen::Screen;
use crate::domain::queue::{Count, Severity};
use crate::domain::text;
use crate::theme::Role;

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
                Screen::Scheduled if size == Size::Long => phrase.append(number_after(sums.later, Role::StateScheduled)),
                Screen::Server if scene.snapshot.warnings.iter().any(|warning| warning.severity > Severity::Info) => {
                    phrase.push(Role::Warn, format!(" {}", canvas.glyphs().look));
                }
                _ => {}
            }
            (screen.clone(), phrase)
        })
        .collect()
}

/// Workers that were read live count; otherwise what the tick knows.
fn workers(scene: &Scene<'_>, alive: Option<u64>) -> Option<Count> {
    let report = scene.state.workers.loaded.data.as_ref();
    report.map(|report| Count::Exact(report.workers.len() as u64)).or(alive.map(Count::Exact))
}

fn number_after(count: Option<Count>, role: Role) -> Phrase {
    match count {
        None | Some(Count::Exact(0) | Count::Unknown) => Phrase::new(),
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

/// How much of their titles tabs show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Titles {
    /// All of them.
    Whole,
    /// The open one whole, the others by their short words.
    OpenWhole,
    /// Short words only.
    Short,
}

/// Tabs inside a screen: titles with counts, the open one lit. Titles get shorter, then tabs stand closer, then the line
/// starts further right, until the open one is on the screen.
pub fn inner(canvas: &mut Canvas<'_>, at: Rect, tabs: &[Inner], open: usize) {
    let attempts = [
        (Titles::Whole, 2),
        (Titles::Whole, 1),
        (Titles::OpenWhole, 1),
        (Titles::Short, 1),
        (Titles::OpenWhole, 0),
        (Titles::Short, 0),
    ];
    let width = |titles: Titles, gap: u16| {
        let sum: u16 = tabs.iter().enumerate().map(|(index, tab)| tab.phrase(titles, index == open).width()).sum();
        sum + (tabs.len() as u16).saturating_sub(1) * (gap + 1) + 2
    };
    let fitting = attempts.into_iter().find(|(titles, gap)| width(*titles, *gap) <= at.width);
    let (titles, gap) = fitting.unwrap_or((Titles::Short, 0));
    let mut first = 0;
    if fitting.is_none() {
        // Everything left of the open tab that does not fit beside it is skipped.
        let mut used = tabs.get(open).map_or(0, |tab| tab.phrase(titles, true).width()) + 2;
        first = open;
        while first > 0 {
            used += tabs[first - 1].phrase(titles, false).width() + gap + 1;
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
        let phrase = tab.phrase(titles, index == open);
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
    fn phrase(&self, titles: Titles, open: bool) -> Phrase {
        let whole = titles == Titles::Whole || (open && titles == Titles::OpenWhole);
        let title = if whole { self.title } else { self.short };
        let dim = matches!(self.count, Some(Count::Exact(0) | Count::Unknown));
        let phrase = Phrase::of(if dim { Role::Muted } else { Role::Text }, title);
        match self.count {
            None | Some(Count::Exact(0)) => phrase,
            Some(Count::Unknown) => phrase.and(Role::Muted, " ?"),
            Some(count) => phrase.and(self.role, format!(" {}", text::counted(count))),
        }
    }
}
