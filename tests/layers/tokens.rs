//! Rust source as a flat row of words and signs: enough to find paths, nothing more.

/// One word or sign and its line, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// Splits source into tokens. Comments and the contents of literals are left out; `::` is one token, a lifetime is one
/// token beginning with `'`.
pub fn tokens(source: &str) -> Vec<Token> {
    let bytes = source.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let length = match rest {
            [b'/', b'/', ..] => rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()),
            [b'/', b'*', ..] => comment(rest),
            [b'"', ..] => 1 + text(&rest[1..]),
            [b'b' | b'c', b'"', ..] => 2 + text(&rest[2..]),
            [b'\'', ..] => {
                let length = quote(rest);
                if rest.get(length - 1) != Some(&b'\'') {
                    found.push(Token { text: source[at..at + length].to_owned(), line });
                }
                length
            }
            [b':', b':', ..] => {
                found.push(Token { text: "::".to_owned(), line });
                2
            }
            [first, ..] if first.is_ascii_alphabetic() || *first == b'_' => match raw(rest) {
                Some(length) => length,
                None => {
                    let length = word(rest);
                    found.push(Token { text: source[at..at + length].to_owned(), line });
                    length
                }
            },
            [first, ..] if first.is_ascii_punctuation() => {
                found.push(Token { text: char::from(*first).to_string(), line });
                1
            }
            [first, ..] if first.is_ascii_digit() => word(rest),
            _ => 1,
        };
        line += bytes[at..at + length].iter().filter(|&&byte| byte == b'\n').count();
        at += length;
    }
    found
}

fn word(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(bytes.len())
}

/// Length of a nested block comment.
fn comment(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// Length of a text literal after its opening quote, closing quote included.
fn text(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Length of a raw text literal (`r"…"`, `br#"…"#`), if this is one.
fn raw(bytes: &[u8]) -> Option<usize> {
    let prefix = [&b"br"[..], b"cr", b"r"].into_iter().find(|prefix| bytes.starts_with(prefix))?.len();
    let hashes = bytes[prefix..].iter().take_while(|&&byte| byte == b'#').count();
    if bytes.get(prefix + hashes) != Some(&b'"') {
        return None;
    }
    let start = prefix + hashes + 1;
    let end = [&b"\""[..], &b"#".repeat(hashes)].concat();
    let length = bytes[start..].windows(end.len()).position(|window| window == end)?;
    Some(start + length + end.len())
}

/// Length of a character literal or a lifetime.
fn quote(bytes: &[u8]) -> usize {
    if bytes.get(1) == Some(&b'\\') {
        return bytes[3..].iter().position(|&byte| byte == b'\'').map_or(bytes.len(), |length| length + 4);
    }
    let name = word(&bytes[1..]);
    match bytes.get(1 + name) {
        Some(b'\'') if name == 1 => 3,
        _ if name > 0 => 1 + name,
        // One character that is no letter: `'"'`, `'é'`.
        _ => bytes[2..].iter().position(|&byte| byte == b'\'').map_or(bytes.len(), |length| length + 3),
    }
}
