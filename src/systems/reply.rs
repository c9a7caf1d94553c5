//! Typed reading of replies. Every function accepts the forms of both protocol versions (RESP2 and RESP3) and answers
//! `None` for anything else, so that an adapter decides what a missing or foreign value means.

use bytes::Bytes;

use crate::link::Value;

/// An integer: a number reply, or digits in a string.
pub fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Double(number) => whole(*number),
        _ => int_of(bytes(value)?),
    }
}

/// A count or length: an integer that is not negative.
pub fn count(value: &Value) -> Option<u64> {
    int(value).and_then(|number| u64::try_from(number).ok())
}

/// A score or other number with a fraction.
pub fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => std::str::from_utf8(bytes(value)?).ok()?.trim().parse().ok(),
    }
}

/// The bytes of a string reply.
pub fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        Value::VerbatimString { text, .. } => Some(text.as_bytes()),
        Value::Okay => Some(b"OK"),
        _ => None,
    }
}

/// The bytes of a string reply and how many there are in all: of a huge one a connection that is for looking brings
/// only the start (see [`crate::link::KEPT_BYTES`]).
pub fn sized(value: &Value) -> Option<(&[u8], u64)> {
    match value {
        Value::Array(cut) => match cut.as_slice() {
            [Value::Int(total), Value::BulkString(start)] => Some((start, u64::try_from(*total).ok()?)),
            _ => None,
        },
        whole => bytes(whole).map(|bytes| (bytes, bytes.len() as u64)),
    }
}

/// The same without a copy.
pub fn into_sized(value: Value) -> Option<(Bytes, u64)> {
    match value {
        Value::BulkString(bytes) => {
            let total = bytes.len() as u64;
            Some((bytes.into(), total))
        }
        Value::Array(cut) => match <[Value; 2]>::try_from(cut) {
            Ok([Value::Int(total), Value::BulkString(start)]) => Some((start.into(), u64::try_from(total).ok()?)),
            _ => None,
        },
        _ => None,
    }
}

/// A string reply as text, invalid UTF-8 replaced.
pub fn text(value: &Value) -> Option<String> {
    bytes(value).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// The elements of an array or set; none for nil.
pub fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        Value::Nil => Some(&[]),
        _ => None,
    }
}

/// An array of strings.
pub fn names(value: &Value) -> Option<Vec<Vec<u8>>> {
    list(value)?.iter().map(|item| bytes(item).map(<[u8]>::to_vec)).collect()
}

/// Members with scores, from a flat array (RESP2) or one of pairs (RESP3).
pub fn scored(value: &Value) -> Option<Vec<(Vec<u8>, f64)>> {
    let whole =
        |(member, total, score): (&[u8], u64, f64)| (member.len() as u64 == total).then(|| (member.to_vec(), score));
    scored_sized(value)?.into_iter().map(whole).collect()
}

/// Members as [`sized`] reads them, with their scores.
pub fn scored_sized(value: &Value) -> Option<Vec<(&[u8], u64, f64)>> {
    let items = list(value)?;
    let read = |member, score| {
        let (bytes, total) = sized(member)?;
        Some((bytes, total, float(score)?))
    };
    // A pair begins with its member, a member that was cut with its length.
    if items.first().and_then(list).is_some_and(|pair| !matches!(pair, [Value::Int(_), _])) {
        return items
            .iter()
            .map(|pair| match list(pair)? {
                [member, score] => read(member, score),
                _ => None,
            })
            .collect();
    }
    let (pairs, []) = items.as_chunks::<2>() else { return None };
    pairs.iter().map(|[member, score]| read(member, score)).collect()
}

/// Cursor and elements of a `SCAN`, `SSCAN` or `HSCAN` step.
pub fn scan(value: &Value) -> Option<(u64, Vec<Vec<u8>>)> {
    match list(value)? {
        [cursor, items] => Some((count(cursor)?, names(items)?)),
        _ => None,
    }
}

/// Digits, perhaps with a sign, blanks around them or a fraction of nothing but zeros.
pub fn int_of(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    text.parse().ok().or_else(|| text.parse().ok().and_then(whole))
}

fn whole(number: f64) -> Option<i64> {
    // Beyond 2^53 an f64 no longer holds every integer, so that a conversion would invent digits.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn s6_what_was_cut_is_no_string_to_those_who_do_not_know_of_it() {
        let cut = Value::Array(vec![Value::Int(70_000_000), string("start")]);
        assert_eq!(sized(&cut), Some((&b"start"[..], 70_000_000)));
        assert_eq!(sized(&string("all")), Some((&b"all"[..], 3)));
        assert_eq!(into_sized(cut.clone()), Some((Bytes::from_static(b"start"), 70_000_000)));
        assert_eq!(into_sized(string("all")), Some((Bytes::from_static(b"all"), 3)));
        assert_eq!((bytes(&cut), names(&Value::Array(vec![cut.clone()]))), (None, None));
        let expected = [(&b"start"[..], 70_000_000, 1.5), (b"b", 1, 2.0)];
        let flat = Value::Array(vec![cut.clone(), string("1.5"), string("b"), string("2")]);
        assert_eq!(scored_sized(&flat).unwrap(), expected);
        let pair = |member: Value, score| Value::Array(vec![member, Value::Double(score)]);
        let pairs = Value::Array(vec![pair(cut, 1.5), pair(string("b"), 2.0)]);
        assert_eq!(scored_sized(&pairs).unwrap(), expected);
        assert_eq!((scored(&flat), scored(&pairs)), (None, None));
    }

    #[test]
    fn numbers_come_as_integers_doubles_or_digits() {
        assert_eq!(int(&Value::Int(-3)), Some(-3));
        assert_eq!(int(&string(" 17 ")), Some(17));
        assert_eq!(int(&string("1700000000000.0")), Some(1_700_000_000_000));
        assert_eq!(int(&string("1.5")), None);
        assert_eq!(int(&Value::Nil), None);
        assert_eq!(count(&Value::Int(-1)), None);
        assert_eq!(float(&string("1.5")), Some(1.5));
    }

    #[test]
    fn scores_are_read_in_both_protocol_forms() {
        let flat = Value::Array(vec![string("a"), string("1"), string("b"), string("2.5")]);
        let pairs = Value::Array(vec![
            Value::Array(vec![string("a"), Value::Double(1.0)]),
            Value::Array(vec![string("b"), Value::Double(2.5)]),
        ]);
        let expected = vec![(b"a".to_vec(), 1.0), (b"b".to_vec(), 2.5)];
        assert_eq!(scored(&flat), Some(expected.clone()));
        assert_eq!(scored(&pairs), Some(expected));
        assert_eq!(scored(&Value::Array(vec![string("a")])), None);
        assert_eq!(scored(&Value::Array(vec![])), Some(vec![]));
    }

    #[test]
    fn a_scan_step_is_a_cursor_and_names() {
        let step = Value::Array(vec![string("42"), Value::Array(vec![string("k")])]);
        assert_eq!(scan(&step), Some((42, vec![b"k".to_vec()])));
    }
}
