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
    let long: u16 = tabs(scene, canvas, true).iter().map(|(_, phrase)| phrase.width() + 2).sum();
    let tabs = tabs(scene, canvas, long <= at.width);
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

fn tabs(scene: &Scene<'_>, canvas: &Canvas<'_>, long: bool) -> Vec<(Screen, Phrase)> {
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
            phrase.push(Role::Text, format!(" {}", title(screen, long)));
            match screen {
                Screen::Running => phrase.append(number_after(sums.active, Role::StateActive)),
                Screen::Failures => phrase.append(number_after(sums.failed, Role::StateFailed)),
                Screen::Workers => phrase.append(number_after(workers(scene, sums.workers), Role::Text)),
                Screen::Scheduled if long => phrase.append(number_after(sums.later, Role::StateScheduled)),
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

fn title(screen: &Screen, long: bool) -> &'static str {
    match screen {
        Screen::Scheduled if long => "Scheduled",
        Screen::Runner if long => "Runner",
        Screen::Server if long => "Server",
        Screen::Logs if long => "Logs",
        short => short.title(),
    }
}

/// Tabs inside a screen: titles with counts, the open one lit. Titles get shorter, then the line starts further right,
/// until the open one is on the screen.
pub fn inner(canvas: &mut Canvas<'_>, at: Rect, tabs: &[Inner], open: usize) {
    let attempts = [(usize::MAX, 2), (usize::MAX, 1), (12, 1), (8, 1), (7, 1), (6, 1), (5, 1)];
    let width = |letters: usize, gap: u16| {
        let sum: u16 = tabs.iter().enumerate().map(|(index, tab)| tab.phrase(letters, index == open).width()).sum();
        sum + (tabs.len() as u16).saturating_sub(1) * (gap + 1) + 2
    };
    let fitting = attempts.into_iter().find(|(letters, gap)| width(*letters, *gap) <= at.width);
    let (letters, gap) = fitting.unwrap_or((5, 1));
    let mut first = 0;
    if fitting.is_none() {
        // Everything left of the open tab that does not fit beside it is skipped.
        let mut used = tabs.get(open).map_or(0, |tab| tab.phrase(letters, true).width()) + 2;
        first = open;
        while first > 0 {
            used += tabs[first - 1].phrase(letters, false).width() + gap + 1;
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
        let phrase = tab.phrase(letters, index == open);
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
    /// Number after it.
    pub count: Option<Count>,
    /// Role of the number, if it is above zero.
    pub role: Role,
}

impl Inner {
    fn phrase(&self, letters: usize, open: bool) -> Phrase {
        // The open one keeps its name as long as it can.
        let title = shorter(self.title, if open { letters.max(12) } else { letters });
        let dim = matches!(self.count, Some(Count::Exact(0) | Count::Unknown));
        let phrase = Phrase::of(if dim { Role::Muted } else { Role::Text }, title);
        match self.count {
            None | Some(Count::Exact(0)) => phrase,
            Some(Count::Unknown) => phrase.and(Role::Muted, " ?"),
            Some(count) => phrase.and(self.role, format!(" {}", text::counted(count))),
        }
    }
}

/// A title of at most `letters`: its last word, or an abbreviation. `Waiting for children` is `Children`, then `Chil.`.
fn shorter(title: &str, letters: usize) -> String {
    if title.chars().count() <= letters {
        return title.to_owned();
    }
    let word = title.rsplit(' ').next().unwrap_or(title);
    let mut chars = word.chars();
    let capitalised: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    // Cutting one letter and adding a point would win nothing.
    if capitalised.chars().count() <= letters + 1 {
        return capitalised;
    }
    capitalised.chars().take(4).chain(std::iter::once('.')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_get_shorter_by_words_before_letters() {
        assert_eq!(shorter("Waiting for children", 20), "Waiting for children");
        assert_eq!(shorter("Waiting for children", 12), "Children");
        assert_eq!(shorter("Waiting for children", 6), "Chil.");
        assert_eq!(shorter("Prioritized", 8), "Prio.");
        assert_eq!(shorter("Failed", 8), "Failed");
    }
}
