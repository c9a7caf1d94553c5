//! Which keys run which action: the defaults of the action table, laid over by the configuration's `[keys]`.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyModifiers};

use super::actions::{ACTIONS, ActionId, Danger};
use super::chord::{Chord, parse_sequence, print_sequence};

/// The keys in effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Keymap {
    root: Node,
    /// For each action its keys, the preferred first.
    reverse: BTreeMap<ActionId, Vec<Vec<Chord>>>,
}

#[derive(Clone, Debug, PartialEq, Default)]
struct Node {
    action: Option<ActionId>,
    next: Vec<(Chord, Node)>,
}

/// What the keys pressed so far mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// They run an action.
    Action(ActionId),
    /// More keys must follow; these may, with what they lead to.
    Pending(Vec<(Chord, Option<ActionId>)>),
    /// Nothing.
    Nothing,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::build(&BTreeMap::new()).0
    }
}

impl Keymap {
    /// Lays the configuration's keys over the defaults: an action named there has exactly the keys given there.
    /// Returns what cannot be done beside the keymap; the rest is in effect.
    pub fn build(overrides: &BTreeMap<String, Vec<String>>) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut keymap = Self { root: Node::default(), reverse: BTreeMap::new() };
        let mut chosen = BTreeMap::new();
        for (name, keys) in overrides {
            match name.parse::<ActionId>() {
                Ok(id) => _ = chosen.insert(id, keys),
                Err(_) => problems.push(format!("keys: there is no action `{name}`{}", nearest(name))),
            }
        }
        // What a person chose comes first, so that a default in its way is the one that gives way.
        for (id, keys) in &chosen {
            for text in *keys {
                let bound = parse_sequence(text).and_then(|keys| keymap.bind(*id, keys));
                if let Err(problem) = bound {
                    problems.push(format!("keys: {}: {problem}", id.name()));
                }
            }
        }
        let mut lost = Vec::new();
        for spec in ACTIONS.iter().filter(|spec| !chosen.contains_key(&spec.id)) {
            let keys = spec.keys.iter().filter_map(|text| parse_sequence(text).ok());
            let bound = keys.filter(|keys| keymap.bind(spec.id, keys.clone()).is_ok()).count();
            if bound == 0 && !spec.keys.is_empty() {
                lost.push(spec.id);
            }
        }
        // An action without a key is found in the palette; without that, whoever took its key has to give one back.
        if keymap.key(ActionId::Palette).is_none() {
            problems.extend(lost.iter().map(|id| keymap.lost(*id)));
        }
        (keymap, problems)
    }

    fn bind(&mut self, id: ActionId, keys: Vec<Chord>) -> Result<(), String> {
        let text = print_sequence(&keys);
        if !may_run(id.spec().danger, &keys) {
            let hint = "is too easily pressed for something that changes a queue; use upper case";
            return Err(format!("`{text}` {hint}"));
        }
        let mut node = &mut self.root;
        for chord in &keys {
            if let Some(other) = node.action {
                return Err(format!("`{text}` begins with a key of {}", other.name()));
            }
            let index = node.next.iter().position(|(known, _)| known == chord).unwrap_or_else(|| {
                node.next.push((*chord, Node::default()));
                node.next.len() - 1
            });
            node = &mut node.next[index].1;
        }
        match node.action {
            Some(other) => Err(format!("`{text}` is a key of {} already", other.name())),
            None if !node.next.is_empty() => Err(format!("`{text}` is the beginning of other keys")),
            None => {
                node.action = Some(id);
                self.reverse.entry(id).or_default().push(keys);
                Ok(())
            }
        }
    }

    /// Who took the keys of an action that has none left.
    fn lost(&self, id: ActionId) -> String {
        let takers: Vec<String> = id
            .spec()
            .keys
            .iter()
            .filter_map(|text| match self.lookup(&parse_sequence(text).ok()?) {
                Lookup::Action(taker) => Some(format!("`{text}` is {} now", taker.name())),
                Lookup::Pending(_) | Lookup::Nothing => None,
            })
            .collect();
        let palette = ActionId::Palette.name();
        format!(
            "keys: {} has no key left ({}) and {palette} has none either; give one of them a key",
            id.name(),
            takers.join(", ")
        )
    }

    /// What keys pressed one after the other mean.
    pub fn lookup(&self, keys: &[Chord]) -> Lookup {
        let mut node = &self.root;
        for chord in keys {
            match node.next.iter().find(|(known, _)| known == chord) {
                Some((_, next)) => node = next,
                None => return Lookup::Nothing,
            }
        }
        match node.action {
            Some(action) => Lookup::Action(action),
            None => Lookup::Pending(node.next.iter().map(|(chord, next)| (*chord, next.action)).collect()),
        }
    }

    /// The preferred key of an action as printed, if it has one.
    pub fn key(&self, id: ActionId) -> Option<String> {
        Some(print_sequence(self.reverse.get(&id)?.first()?))
    }

    /// All keys of an action as printed.
    pub fn keys(&self, id: ActionId) -> Vec<String> {
        self.reverse.get(&id).into_iter().flatten().map(|keys| print_sequence(keys)).collect()
    }
}

/// True if keys are safe enough for what they run (S13). What changes a queue is on no Control key and on none that
/// moves the cursor; what destroys is in upper case besides, and not under the fingers that move the cursor.
pub fn may_run(danger: Danger, keys: &[Chord]) -> bool {
    let plain = |chord: &Chord| chord.modifiers == KeyModifiers::NONE;
    let fits = |chord: &Chord| match (danger, chord.code) {
        (Danger::Safe, _) => true,
        (_, KeyCode::F(_)) => plain(chord),
        (Danger::Changes, KeyCode::Char(c)) => plain(chord) && c.is_ascii_alphabetic() && !"hjklgG".contains(c),
        (Danger::Destroys, KeyCode::Char(c)) => plain(chord) && c.is_ascii_uppercase() && !"GJKHL".contains(c),
        _ => false,
    };
    keys.iter().all(fits)
}

fn nearest(name: &str) -> String {
    let similar = |known: &&'static str| {
        known.split('.').next_back() == name.split('.').next_back()
            || known.starts_with(name)
            || name.starts_with(known)
    };
    super::actions::action_names().find(similar).map(|known| format!("; did you mean `{known}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(entries: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let entry =
            |(name, keys): &(&str, &[&str])| ((*name).to_owned(), keys.iter().map(|k| (*k).to_owned()).collect());
        entries.iter().map(entry).collect()
    }

    fn look(keymap: &Keymap, keys: &str) -> Lookup {
        keymap.lookup(&parse_sequence(keys).unwrap())
    }

    #[test]
    fn the_defaults_have_no_problem() {
        assert_eq!(Keymap::build(&BTreeMap::new()).1, Vec::<String>::new());
    }

    #[test]
    fn keys_that_follow_each_other_wait_for_the_second() {
        let keymap = Keymap::default();
        assert!(matches!(look(&keymap, "g"), Lookup::Pending(next) if next.len() == 1));
        assert_eq!(look(&keymap, "g g"), Lookup::Action(ActionId::Top));
        assert_eq!(look(&keymap, "g x"), Lookup::Nothing);
        assert_eq!(keymap.key(ActionId::Top).as_deref(), Some("g g"));
    }

    #[test]
    fn a_chosen_key_wins_over_a_default() {
        let (keymap, problems) = Keymap::build(&overrides(&[("app.quit", &["ctrl-x", "w"])]));
        assert_eq!(look(&keymap, "ctrl-x"), Lookup::Action(ActionId::Quit));
        assert_eq!(look(&keymap, "q"), Lookup::Nothing);
        assert_eq!(look(&keymap, "w"), Lookup::Action(ActionId::Quit));
        assert_eq!(problems, Vec::<String>::new(), "queue.why is still in the palette");
        assert_eq!(keymap.key(ActionId::Why), None);
    }

    #[test]
    fn an_action_that_nothing_leads_to_any_more_is_a_problem_that_names_who_took_its_key() {
        let (_, problems) = Keymap::build(&overrides(&[("app.quit", &["w"]), ("app.palette", &[])]));
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        for word in ["queue.why", "`w` is app.quit now", "app.palette"] {
            assert!(problem.contains(word), "{problem}");
        }
    }

    #[test]
    fn conflicts_and_unknown_names_are_reported() {
        let (_, problems) = Keymap::build(&overrides(&[
            ("app.quit", &["ctrl-x"]),
            ("app.help", &["ctrl-x", "nonsense"]),
            ("list.opn", &["y"]),
            ("quit", &["y"]),
        ]));
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems.iter().any(|problem| problem.contains("`ctrl-x` is a key of app.quit already")
            || problem.contains("`ctrl-x` is a key of app.help already")));
        assert!(problems.iter().any(|problem| problem.contains("did you mean `app.quit`?")));
    }

    #[test]
    fn s13_keys_beside_navigation_may_not_change_anything() {
        for (keys, changes, destroys) in [
            ("R", true, true),
            ("D", true, true),
            ("X X", true, true),
            ("r", true, false),
            ("ctrl-d", false, false),
            ("G", false, false),
            ("j", false, false),
            ("K", true, false),
            ("delete", false, false),
            ("enter", false, false),
            ("f9", true, true),
        ] {
            let sequence = parse_sequence(keys).unwrap();
            assert_eq!(may_run(Danger::Changes, &sequence), changes, "{keys}");
            assert_eq!(may_run(Danger::Destroys, &sequence), destroys, "{keys}");
        }
    }
}
