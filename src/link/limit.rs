//! What the arguments of a command must obey, so that no reply and no walk on the server is without a bound (P3, P2).

/// A keyword that is followed by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keyword {
    /// `COUNT n`.
    Count,
    /// `MAXLEN n`.
    MaxLen,
}

impl Keyword {
    fn word(self) -> &'static str {
        match self {
            Self::Count => "COUNT",
            Self::MaxLen => "MAXLEN",
        }
    }
}

/// A rule for arguments. "Arguments" are the words after the command's name and subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Nothing in the arguments can make it large.
    None,
    /// Key, first and last index: both count from the same end and lie within `max` of each other.
    Span {
        /// Most members.
        max: u64,
    },
    /// `ZRANGE`: by index as [`Limit::Span`]; by score or by name as [`Limit::PageRequired`].
    SortedRange {
        /// Most members.
        max: u64,
    },
    /// `LIMIT offset count` must be there, with a positive count.
    PageRequired {
        /// Highest count.
        max: u64,
    },
    /// A keyword with a positive number must be there.
    Required {
        /// Which.
        keyword: Keyword,
        /// Arguments before the options begin.
        skip: usize,
        /// Highest number.
        max: u64,
    },
    /// A scan step: `COUNT` may be missing (the server then takes 10).
    Step {
        /// Arguments before the options begin.
        skip: usize,
        /// Highest `COUNT`.
        max: u64,
    },
    /// So many keys, fields or members after the first `skip` arguments, at least one.
    Named {
        /// Arguments that are not counted.
        skip: usize,
        /// Most that are.
        max: usize,
    },
    /// `MEMORY USAGE key [SAMPLES n]`; zero would mean all.
    Samples {
        /// Highest number.
        max: u64,
    },
    /// `XINFO STREAM key [FULL COUNT n]`; zero would mean all.
    StreamFull {
        /// Highest count.
        max: u64,
    },
    /// `XPENDING key group` or `… [IDLE ms] start end count [consumer]`.
    Pending {
        /// Highest count.
        max: u64,
    },
}

impl Limit {
    /// Checks the arguments; the error says what is wrong with them.
    pub fn check(self, arguments: &[&[u8]]) -> Result<(), String> {
        match self {
            Self::None => Ok(()),
            Self::Span { max } => span(arguments, max),
            Self::SortedRange { max } => {
                let by_value = options(arguments, 3).any(|(word, _)| is(word, "BYSCORE") || is(word, "BYLEX"));
                if by_value { page(arguments, max) } else { span(arguments, max) }
            }
            Self::PageRequired { max } => page(arguments, max),
            Self::Required { keyword, skip, max } => {
                if !pairs(arguments, skip).any(|(word, _)| is(word, keyword.word())) {
                    return Err(format!("{} is missing", keyword.word()));
                }
                numbered(arguments, skip, &[keyword.word(), "COUNT"], max)
            }
            Self::Step { skip, max } => numbered(arguments, skip, &["COUNT"], max),
            Self::Named { skip, max } => match arguments.len().saturating_sub(skip) {
                0 => Err("nothing is named".to_owned()),
                count if count > max => Err(format!("names {count} at once, {max} are allowed")),
                _ => Ok(()),
            },
            Self::Samples { max } => numbered(arguments, 1, &["SAMPLES"], max),
            Self::StreamFull { max } => match arguments {
                [_, full, rest @ ..] if is(full, "FULL") => match rest {
                    [count, value] if is(count, "COUNT") => within("COUNT", Some(value), max),
                    _ => Err("FULL without COUNT".to_owned()),
                },
                _ => Ok(()),
            },
            Self::Pending { max } => pending(arguments, max),
        }
    }
}

/// The two forms of `XPENDING`.
fn pending(arguments: &[&[u8]], max: u64) -> Result<(), String> {
    if arguments.len() <= 2 {
        return Ok(());
    }
    let skip = if is(arguments[2], "IDLE") { 4 } else { 2 };
    match arguments.get(skip + 2) {
        None => Err("start, end and count are needed".to_owned()),
        Some(count) => within("count", Some(count), max),
    }
}

fn span(arguments: &[&[u8]], max: u64) -> Result<(), String> {
    let [_, first, last, ..] = arguments else {
        return Err("first and last index are needed".to_owned());
    };
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return Err("first and last index must be whole numbers".to_owned());
    };
    // Indices from different ends: from the tail to a place near the head is short whatever the length,
    // from the head to a place near the tail is as long as the key.
    let length = match (first >= 0, last >= 0) {
        (true, false) => return Err(format!("{first} to {last} has no bound")),
        (false, true) => last.saturating_add(1).min(first.saturating_neg()),
        _ => last.saturating_sub(first).saturating_add(1),
    };
    if length > max as i64 { Err(format!("{first} to {last} spans {length}, {max} are allowed")) } else { Ok(()) }
}

fn page(arguments: &[&[u8]], max: u64) -> Result<(), String> {
    let at = options(arguments, 3).find(|(word, _)| is(word, "LIMIT")).map(|(_, at)| at);
    match at {
        None => Err("LIMIT is missing".to_owned()),
        Some(at) => within("LIMIT", arguments.get(at + 2), max),
    }
}

fn within(what: &str, value: Option<&&[u8]>, max: u64) -> Result<(), String> {
    match value.and_then(|value| number(value)) {
        None => Err(format!("{what} is not a number")),
        Some(value) if value < 1 => Err(format!("{what} {value} means no limit")),
        Some(value) if value as u64 > max => Err(format!("{what} {value} is more than {max}")),
        Some(_) => Ok(()),
    }
}

/// Words after the fixed arguments, each with its position.
fn options<'a>(arguments: &'a [&'a [u8]], skip: usize) -> impl Iterator<Item = (&'a [u8], usize)> {
    arguments.iter().enumerate().skip(skip).map(|(at, word)| (*word, at))
}

/// Option words that have no value.
const FLAGS: &[&str] = &["NOVALUES"];

/// Options that come as keyword and value, flags left out.
fn pairs<'a>(arguments: &'a [&'a [u8]], skip: usize) -> impl Iterator<Item = (&'a [u8], Option<&'a &'a [u8]>)> {
    let mut rest = arguments.get(skip..).unwrap_or(&[]).iter();
    std::iter::from_fn(move || {
        let word = rest.find(|word| !FLAGS.iter().any(|flag| is(word, flag)))?;
        Some((*word, rest.next()))
    })
}

/// Every number given to one of these keywords is within the limit.
fn numbered(arguments: &[&[u8]], skip: usize, keywords: &[&str], max: u64) -> Result<(), String> {
    for (word, value) in pairs(arguments, skip) {
        if let Some(keyword) = keywords.iter().find(|keyword| is(word, keyword)) {
            within(keyword, value, max)?;
        }
    }
    Ok(())
}

fn is(word: &[u8], keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword.as_bytes())
}

fn number(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limit: Limit, line: &str) -> Result<(), String> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        limit.check(&words)
    }

    #[test]
    fn p3_spans_of_one_end_are_counted() {
        let limit = Limit::Span { max: 500 };
        for good in ["k 0 499", "k -500 -1", "k 1000 1499", "k 5 4", "k 0 0", "k -3 2", "k -1 100000000"] {
            assert_eq!(check(limit, good), Ok(()), "{good}");
        }
        for bad in
            ["k 0 500", "k 0 -1", "k -501 -1", "k -1000 1000", "k 7 -7", "k 0", "k a b", "k 0 9223372036854775807"]
        {
            assert!(check(limit, bad).is_err(), "{bad}");
        }
        assert!(check(limit, "k -9223372036854775808 9223372036854775807").is_err());
    }

    #[test]
    fn p3_sorted_ranges_need_a_bound_in_every_form() {
        let limit = Limit::SortedRange { max: 500 };
        for good in ["z 0 0 WITHSCORES", "z 0 499 REV", "z -inf +inf BYSCORE LIMIT 0 500", "z [a [b bylex limit 5 1"] {
            assert_eq!(check(limit, good), Ok(()), "{good}");
        }
        for bad in [
            "z 0 -1 REV",
            "z -inf +inf BYSCORE",
            "z -inf +inf BYSCORE LIMIT 0 -1",
            "z -inf +inf BYSCORE LIMIT 0 501",
            "z -inf +inf BYSCORE LIMIT 0 0",
            "z -inf +inf BYSCORE LIMIT 0",
        ] {
            assert!(check(limit, bad).is_err(), "{bad}");
        }
        let limit = Limit::PageRequired { max: 500 };
        assert_eq!(check(limit, "z -inf 5 WITHSCORES LIMIT 0 1"), Ok(()));
        assert!(check(limit, "z -inf 5 WITHSCORES").is_err());
    }

    #[test]
    fn p2_counts_are_positive_and_bounded() {
        let step = Limit::Step { skip: 1, max: 10_000 };
        for good in
            ["0", "0 COUNT 10000", "17 MATCH COUNT COUNT 5", "17 COUNT 5 MATCH COUNT TYPE list", "0 NOVALUES COUNT 9"]
        {
            assert_eq!(check(step, good), Ok(()), "{good}");
        }
        for bad in
            ["0 COUNT 10001", "0 COUNT 0", "0 COUNT", "0 count -1", "0 COUNT 5 COUNT 20000", "0 NOVALUES COUNT 20000"]
        {
            assert!(check(step, bad).is_err(), "{bad}");
        }
        let range = Limit::Required { keyword: Keyword::Count, skip: 3, max: 500 };
        assert_eq!(check(range, "s - + COUNT 100"), Ok(()));
        assert!(check(range, "s - +").is_err());
        assert!(check(range, "s - + COUNT 501").is_err());
        let position = Limit::Required { keyword: Keyword::MaxLen, skip: 2, max: 1000 };
        assert_eq!(check(position, "l x RANK -1 MAXLEN 1000"), Ok(()));
        for bad in ["l x", "l x MAXLEN 0", "l x RANK 1 COUNT 0 MAXLEN 5", "l MAXLEN"] {
            assert!(check(position, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn p3_the_odd_forms_are_bounded_too() {
        let pending = Limit::Pending { max: 500 };
        for good in ["s g", "s g - + 100", "s g IDLE 60000 - + 500 worker"] {
            assert_eq!(check(pending, good), Ok(()), "{good}");
        }
        for bad in ["s g - +", "s g - + 501", "s g IDLE 5 - +", "s g - + 0"] {
            assert!(check(pending, bad).is_err(), "{bad}");
        }
        let stream = Limit::StreamFull { max: 500 };
        assert_eq!(check(stream, "s"), Ok(()));
        assert_eq!(check(stream, "s FULL COUNT 10"), Ok(()));
        assert!(check(stream, "s FULL").is_err());
        assert!(check(stream, "s FULL COUNT 0").is_err());
        let named = Limit::Named { skip: 1, max: 2 };
        assert_eq!(check(named, "h a b"), Ok(()));
        assert!(check(named, "h a b c").is_err());
        assert!(check(named, "h").is_err());
        assert!(check(Limit::Samples { max: 100 }, "k SAMPLES 0").is_err());
        assert_eq!(check(Limit::Samples { max: 100 }, "k"), Ok(()));
    }
}
