//! Key bindings: an action's name and the chords for it.

use std::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Chords for one action, written as `"P"` or `["P", "ctrl-p"]`; none: the action has no key.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Chords(pub Vec<String>);

impl<'de> Deserialize<'de> for Chords {
    /// By hand and not as an untagged enum, which would lose the place of an error in the file.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Chords;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a chord such as \"ctrl-p\" or \"g g\", or a list of chords")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Chords, E> {
                Ok(Chords(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Chords, A::Error> {
                let mut chords = Vec::new();
                while let Some(chord) = items.next_element()? {
                    chords.push(chord);
                }
                Ok(Chords(chords))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Something wrong with a binding, found by whoever knows the actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyProblem {
    /// Name of the action in `[keys]`.
    pub action: String,
    /// Which of its chords, from 0; `None`: the binding as a whole.
    pub chord: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
}
