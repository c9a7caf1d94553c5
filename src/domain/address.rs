//! Queue addresses as a person types them: `SYSTEM:NAME`, `SYSTEM@INSTANCE:NAME`, or the bare name.

use super::ids::{QueueId, SystemName};

/// Reads a full address, `SYSTEM@INSTANCE:NAME`, of one of `systems`. `None` if it is not complete or has a glob.
pub fn parse_full(text: &str, systems: &[SystemName]) -> Option<QueueId> {
    if text.contains(['*', '?', '[']) {
        return None;
    }
    let (system, rest) = text.split_once('@')?;
    let system = systems.iter().copied().find(|name| *name == system)?;
    let (instance, name) = rest.split_once(':')?;
    (!name.is_empty()).then(|| QueueId::new(system, decode(instance), decode(name)))
}

/// What an address means among the queues that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Exactly this queue.
    One(QueueId),
    /// None of that name.
    Nothing,
    /// Several queues have that name; their full addresses tell them apart.
    Several(Vec<QueueId>),
}

/// Finds the queue a person means: by full address, else by short address, else by bare name.
pub fn resolve<'a>(text: &str, queues: impl Iterator<Item = &'a QueueId> + Clone) -> Resolved {
    let ways: [&dyn Fn(&QueueId) -> bool; 3] =
        [&|id| id.full_address() == text, &|id| id.short_address() == text, &|id| {
            id.name.as_bytes() == text.as_bytes()
        }];
    for way in ways {
        let mut found: Vec<QueueId> = queues.clone().filter(|id| way(id)).cloned().collect();
        match found.len() {
            0 => {}
            1 => return Resolved::One(found.swap_remove(0)),
            _ => return Resolved::Several(found),
        }
    }
    Resolved::Nothing
}

/// Undoes percent-encoding; a `%` that introduces nothing stays.
pub fn decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).filter(|_| *byte == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                rest = &tail[2..];
            }
            None => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out
}

/// Glob match over the whole text: `*` any run, `?` one character, `[ab]` and `[a-z]` one of these, `[^a]` one not of
/// these, `\` takes the next character literally. Linear in practice: only the last `*` is ever tried again.
pub fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            retry = Some((p + 1, t));
            p += 1;
            continue;
        }
        match single(&pattern[p.min(pattern.len())..], text[t]) {
            Some(used) => {
                p += used;
                t += 1;
            }
            None => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Matches one character; tells how much of the pattern that took.
fn single(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', literal, ..] => (*literal == c).then_some(2),
        ['[', rest @ ..] if rest.contains(&']') => {
            let close = rest.iter().skip(1).position(|c| *c == ']').map_or(0, |at| at + 1);
            let (negated, set) = match &rest[..close] {
                ['^' | '!', set @ ..] => (true, set),
                set => (false, set),
            };
            let mut inside = false;
            let mut i = 0;
            while i < set.len() {
                if let [low, '-', high, ..] = set[i..] {
                    inside |= (low..=high).contains(&c);
                    i += 3;
                } else {
                    inside |= set[i] == c;
                    i += 1;
                }
            }
            (inside != negated).then_some(close + 2)
        }
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_address_is_read_back() {
        for id in [
            QueueId::new("bullmq", "app:prod", "mail"),
            QueueId::new("list", "", "a:b@c%\n"),
            QueueId::new("list", "", &b"bytes \xff"[..]),
        ] {
            assert_eq!(parse_full(&id.full_address(), &["bullmq", "list"]), Some(id));
        }
        assert_eq!(parse_full("bullmq:mail", &["bullmq"]), None);
        assert_eq!(parse_full("bullmq@bull:ma*", &["bullmq"]), None);
        assert_eq!(parse_full("other@x:mail", &["bullmq"]), None);
    }

    #[test]
    fn the_most_exact_way_to_name_a_queue_wins() {
        let a = QueueId::new("bullmq", "bull", "mail");
        let b = QueueId::new("bullmq", "app", "mail");
        let c = QueueId::new("list", "", "mail");
        let d = QueueId::new("list", "", "bullmq:mail");
        let all = [a.clone(), b.clone(), c.clone()];
        assert_eq!(resolve("bullmq@app:mail", all.iter()), Resolved::One(b.clone()));
        assert_eq!(resolve("list:mail", all.iter()), Resolved::One(c.clone()));
        assert_eq!(resolve("bullmq:mail", all.iter()), Resolved::Several(vec![a.clone(), b]));
        assert_eq!(resolve("mail", [a.clone(), d.clone()].iter()), Resolved::One(a.clone()));
        assert_eq!(resolve("bullmq:mail", [d.clone()].iter()), Resolved::One(d), "a bare name may contain a colon");
        assert_eq!(resolve("nothing", all.iter()), Resolved::Nothing);
    }

    #[test]
    fn globs_match_whole_names() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("mail", "mail", true),
            ("mail", "mails", false),
            ("ma*l", "mail", true),
            ("*ail*", "mailer", true),
            ("m?il", "mail", true),
            ("m?il", "mil", false),
            ("[a-m]ail", "mail", true),
            ("[^m]ail", "mail", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("bull:{*}", "bull:{x}", true),
            ("a*b*c", "a__b__bc", true),
            ("", "x", false),
            ("[", "[", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
        assert!(!glob(&format!("{}b", "*a".repeat(40)), &"a".repeat(5000)), "must end soon");
    }
}
