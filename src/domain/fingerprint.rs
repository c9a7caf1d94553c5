//! Error text → fingerprint: what errors of one cause have in common.
//!
//! Parts that differ from job to job (ids, numbers, addresses, paths, quoted strings, hosts) become placeholders; the
//! words around them stay. Linear in the text and bounded, because error texts come from outside and may be large.

/// Longest fingerprint in characters.
pub const LONGEST: usize = 160;

/// No more of an error than this many characters is looked at.
const LOOKED_AT: usize = 2000;

/// The fingerprint of an error text: its first telling line with the changing parts replaced.
///
/// The result is one line of at most [`LONGEST`] characters and never empty.
pub fn fingerprint(error: &str) -> String {
    let line: Vec<char> = telling_line(error).chars().take(LOOKED_AT).collect();
    let mut out = String::new();
    let mut length = 0;
    let mut at = 0;
    while at < line.len() && length < LONGEST {
        let (piece, next) = token(&line, at);
        let piece = if piece == " " && (out.is_empty() || out.ends_with(' ')) { "" } else { piece.as_str() };
        for c in piece.chars() {
            if length == LONGEST {
                break;
            }
            out.push(c);
            length += 1;
        }
        at = next;
    }
    let out = out.trim_end().to_owned();
    if out.is_empty() { "(no error text)".to_owned() } else { out }
}

/// Python and PHP print the cause last; most others first. A traceback header is never the cause.
fn telling_line(error: &str) -> &str {
    let mut lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return "" };
    if first.starts_with("Traceback (most recent call last)") {
        return lines.next_back().unwrap_or(first);
    }
    first
}

/// One piece of output for the input at `at`, and where the next begins.
fn token(line: &[char], at: usize) -> (String, usize) {
    let c = line[at];
    if c.is_whitespace() || c.is_control() {
        return (" ".to_owned(), at + 1);
    }
    if let Some(end) = quoted(line, at) {
        return ("<str>".to_owned(), end);
    }
    let starts_word = at == 0 || !is_word(line[at - 1]);
    let follows = |wanted: fn(char) -> bool| line.get(at + 1).is_some_and(|c| wanted(*c));
    let opens_address =
        (c == '[' && follows(|c| c.is_ascii_hexdigit() || c == ':')) || (c == ':' && follows(|c| c == ':'));
    if starts_word && (is_word(c) || c == '/' || opens_address) {
        let end = (at..line.len()).find(|&i| !is_part(line[i])).unwrap_or(line.len());
        // Punctuation at the end belongs to the sentence.
        let trimmed = (at..end)
            .rev()
            .find(|&i| !matches!(line[i], '.' | ':' | '-' | '?' | '&' | '=' | '@'))
            .map_or(end, |i| i + 1);
        if let Some((placeholder, used)) = replaced(&line[at..trimmed]) {
            return (placeholder, at + used);
        }
        if is_word(c) {
            let end = (at..line.len()).find(|&i| !is_word(line[i])).unwrap_or(line.len());
            return (word(&line[at..end]), end);
        }
    }
    (c.to_string(), at + 1)
}

/// Letters, digits and underscore.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What may belong to one path, address, URL or id.
fn is_part(c: char) -> bool {
    is_word(c) || matches!(c, '.' | '-' | '/' | ':' | '@' | '%' | '+' | '~' | '?' | '&' | '=' | '#' | '[' | ']' | '\\')
}

/// A quoted string that ends on this line. An apostrophe inside a word is no quote.
fn quoted(line: &[char], at: usize) -> Option<usize> {
    let close = match line[at] {
        '"' => '"',
        '`' => '`',
        '\'' => '\'',
        '“' => '”',
        '«' => '»',
        _ => return None,
    };
    if close == '\'' && at > 0 && line[at - 1].is_alphanumeric() {
        return None;
    }
    let mut i = at + 1;
    while i < line.len() {
        match line[i] {
            '\\' => i += 1,
            c if c == close => {
                let inside_word = close == '\'' && line.get(i + 1).is_some_and(|c| c.is_alphanumeric());
                if !inside_word {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
        i += 1;
    }
    None
}

/// A placeholder for a run of connected characters that is a URL, an address, a path, an e-mail or an id, and how many
/// characters of it were taken.
fn replaced(run: &[char]) -> Option<(String, usize)> {
    let text: String = run.iter().collect();
    let all = run.len();
    if text.contains("://") {
        return Some(("<url>".to_owned(), all));
    }
    if let Some((name, domain)) = text.split_once('@')
        && !name.is_empty()
        && domain.contains('.')
        && !name.contains('/')
    {
        return Some(("<email>".to_owned(), all));
    }
    if is_uuid(&text) {
        return Some(("<id>".to_owned(), all));
    }
    if is_date(&text) {
        return Some(("<time>".to_owned(), all));
    }
    if let Some(taken) = address(&text) {
        return Some(("<host>".to_owned(), text[..taken].chars().count()));
    }
    if is_path(&text) {
        return Some(("<path>".to_owned(), all));
    }
    None
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == 5
        && groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// `2026-11-21`, `2026-11-21T10:00:00Z`, `10:00:00`.
fn is_date(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let first = text.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let separators = text.matches('-').count() >= 2 || text.matches(':').count() == 2;
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b':' | b'.' | b'+' | b'T' | b'Z'));
    first && plain && separators && digits >= 6
}

/// Length in bytes of a host with optional port at the start: IPv4, bracketed or bare IPv6, or a dotted name that ends
/// in a known kind of domain or is followed by a port.
fn address(text: &str) -> Option<usize> {
    if let Some(rest) = text.strip_prefix('[') {
        let close = rest.find(']')?;
        rest[..close].parse::<core::net::Ipv6Addr>().ok()?;
        return Some(close + 2 + port(&rest[close + 1..]));
    }
    if text.matches(':').count() >= 2 && text.parse::<core::net::Ipv6Addr>().is_ok() {
        return Some(text.len());
    }
    let end = text.find([':', '/', '?', '#', '&', '=', '[', ']', '%', '+', '~', '\\', '@']).unwrap_or(text.len());
    let host = &text[..end];
    let port = port(&text[end..]);
    let is_ip = host.parse::<core::net::Ipv4Addr>().is_ok();
    let labels: Vec<&str> = host.split('.').collect();
    let named =
        labels.iter().all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
            && host.bytes().any(|b| b.is_ascii_lowercase());
    const DOMAINS: &[&str] = &[
        "com", "net", "org", "io", "dev", "local", "internal", "cloud", "app", "co", "de", "uk", "eu", "test", "lan",
        "svc",
    ];
    let ends_well = labels.len() >= 2 && labels.last().is_some_and(|last| DOMAINS.contains(last));
    (is_ip || (named && (ends_well || port > 1))).then_some(end + port)
}

/// Length of `:` and digits at the start of `text`, or 0.
fn port(text: &str) -> usize {
    let Some(rest) = text.strip_prefix(':') else { return 0 };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if (2..=5).contains(&digits) { digits + 1 } else { 0 }
}

fn is_path(text: &str) -> bool {
    let slashes = text.matches('/').count();
    let drive = text.len() > 3 && text.as_bytes()[0].is_ascii_alphabetic() && text[1..].starts_with(":\\");
    drive
        || text.starts_with("~/")
        || text.starts_with("./")
        || (text.starts_with('/') && text.len() > 1)
        || slashes >= 2
}

/// A word with its changing parts replaced: numbers, hexadecimal, ids that mix digits and letters.
fn word(word: &[char]) -> String {
    let text: String = word.iter().collect();
    let digits = word.iter().filter(|c| c.is_ascii_digit()).count();
    if digits == 0 {
        return text;
    }
    if digits == word.len() {
        return "<n>".to_owned();
    }
    if text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).is_some_and(is_hex) {
        return "<hex>".to_owned();
    }
    if word.len() >= 8 && is_hex(&text) {
        return "<hex>".to_owned();
    }
    if word.len() >= 12 && digits >= 3 {
        return "<id>".to_owned();
    }
    if word[0].is_ascii_digit() {
        // `30s`, `500ms`, `3rd`: the unit tells, the number does not.
        let unit: String = word.iter().skip_while(|c| c.is_ascii_digit() || **c == '_').collect();
        return format!("<n>{unit}");
    }
    if matches!(text.split_once(|c: char| c.is_ascii_digit()), Some((head, _)) if head.ends_with('_')) {
        let head: String = text.chars().take_while(|c| !c.is_ascii_digit()).collect();
        return format!("{head}<n>");
    }
    // `HTTP2`, `utf8`, `E11000`, `sha256`: names, not numbers.
    text
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_looking_errors_get_the_fingerprint_of_their_cause() {
        let cases = [
            ("connect ECONNREFUSED 10.0.3.17:5432", "connect ECONNREFUSED <host>"),
            ("connect ECONNREFUSED ::1:5432", "connect ECONNREFUSED <host>"),
            ("getaddrinfo ENOTFOUND smtp.example.com", "getaddrinfo ENOTFOUND <host>"),
            (
                "ConnectTimeout: upstream api-3.internal:8443 timed out after 30000ms",
                "ConnectTimeout: upstream <host> timed out after <n>ms",
            ),
            ("SMTP 550 mailbox unavailable: <ada@example.com>", "SMTP <n> mailbox unavailable: <<email>>"),
            ("Request failed with status code 503", "Request failed with status code <n>"),
            ("job 48213 stalled more than allowable limit", "job <n> stalled more than allowable limit"),
            ("Video 'dQw4w9WgXcQ' is private", "Video <str> is private"),
            (
                "ENOENT: no such file or directory, open '/tmp/build-81/out.json'",
                "ENOENT: no such file or directory, open <str>",
            ),
            ("cannot stat /var/lib/app/uploads/9f8e/report.pdf", "cannot stat <path>"),
            ("child bull:reports:6e1c2f5e-9d9b-4c1e-8b3f-0d9f1f1d2a3b failed", "child bull:reports:<id> failed"),
            ("user 6e1c2f5e-9d9b-4c1e-8b3f-0d9f1f1d2a3b not found", "user <id> not found"),
            (
                "E11000 duplicate key error collection: shop.orders index: _id_ dup key: { _id: 991 }",
                "E11000 duplicate key error collection: shop.orders index: _id_ dup key: { _id: <n> }",
            ),
            ("panic at 0x7ffd3a2b10: index out of bounds", "panic at <hex>: index out of bounds"),
            ("GET https://api.example.com/v1/users/42?token=abc returned 404", "GET <url> returned <n>"),
            (
                "Traceback (most recent call last):\n  File \"a.py\", line 3, in f\nValueError: bad id 17",
                "ValueError: bad id <n>",
            ),
            (
                "TypeError: Cannot read properties of undefined (reading 'id')\n    at handler (/app/x.js:12:3)",
                "TypeError: Cannot read properties of undefined (reading <str>)",
            ),
            ("can't parse it, doesn't end", "can't parse it, doesn't end"),
            ("deadline was 2026-11-21T10:00:00Z", "deadline was <time>"),
            ("chunk_17 of upload_9 lost", "chunk_<n> of upload_<n> lost"),
            ("", "(no error text)"),
            ("  \n\n ", "(no error text)"),
        ];
        for (error, expected) in cases {
            assert_eq!(fingerprint(error), expected, "for {error:?}");
        }
    }

    #[test]
    fn errors_of_one_cause_fall_together_and_others_do_not() {
        let same = |a: &str, b: &str| fingerprint(a) == fingerprint(b);
        assert!(same("timeout after 12ms at 10.0.0.1:80", "timeout after 9000ms at 172.16.4.9:8080"));
        assert!(same("order a81f00c2d4e5 lost", "order 77b1c0ffee42 lost"));
        assert!(!same("mailbox unavailable", "mailbox full"));
        assert!(!same("HTTP 500 from <billing>", "HTTP 500 from <shipping>"));
    }

    #[test]
    fn s3_a_fingerprint_is_one_short_line_without_controls() {
        let long = format!("boom {}\u{1b}[31m {}", "x".repeat(50_000), "\r\n\0");
        let print = fingerprint(&long);
        assert!(print.chars().count() <= LONGEST);
        assert!(!fingerprint("a\tb\u{1b}[2Jc\rd").chars().any(char::is_control));
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_a_bounded_fingerprint(text in ".*") {
            let print = fingerprint(&text);
            proptest::prop_assert!(!print.is_empty());
            proptest::prop_assert!(print.chars().count() <= LONGEST);
            proptest::prop_assert!(!print.chars().any(char::is_control));
        }
    }
}
