//! What the demo's jobs are about: names, payloads, and the ways they fail.

use serde_json::{Value, json};

/// People who get mail. The domains are reserved for examples (RFC 2606).
const PEOPLE: [&str; 8] = [
    "ada@example.com",
    "grace@example.org",
    "linus@example.net",
    "margaret@example.com",
    "edsger@example.org",
    "barbara@example.net",
    "dennis@example.com",
    "frances@example.org",
];

const CITIES: [&str; 6] = ["Lisbon", "Tartu", "Osaka", "Łódź", "São Paulo", "Reykjavík"];

/// One of several.
pub(super) fn one_of<T: Copy>(choices: &[T]) -> T {
    choices[fastrand::usize(..choices.len())]
}

/// True in this many of a hundred cases.
pub(super) fn chance(percent: u32) -> bool {
    fastrand::u32(..100) < percent
}

/// A mail to be sent.
pub(super) fn mail() -> (&'static str, Value) {
    let name = one_of(&["welcome", "invoice", "password-reset", "digest"]);
    let payload = json!({
        "to": one_of(&PEOPLE),
        "template": name,
        "locale": one_of(&["en", "de", "pt-BR", "ja"]),
        "variables": { "order": fastrand::u32(10_000..99_999), "city": one_of(&CITIES) },
        "token": format!("{:032x}", fastrand::u128(..)),
    });
    (name, payload)
}

/// Why a mail was not sent. The changing parts are what grouping by fingerprint has to see through.
pub(super) fn mail_error() -> String {
    match fastrand::u32(..10) {
        0..=4 => format!(
            "ConnectTimeout: upstream 10.0.{}.{}:25 timed out after {} ms",
            fastrand::u8(..4),
            fastrand::u8(1..),
            5000 + fastrand::u32(..900)
        ),
        5..=7 => format!("SMTP 550 mailbox unavailable: <{}>", one_of(&PEOPLE)),
        8 => "SMTP 421 too many connections, try again later".to_owned(),
        _ => {
            format!("TemplateError: variable 'order' is {} in line {}", one_of(&["null", "empty"]), fastrand::u8(3..40))
        }
    }
}

/// A film to be converted.
pub(super) fn video() -> (&'static str, Value) {
    let payload = json!({
        "source": format!("s3://uploads/{:08x}.mov", fastrand::u32(..)),
        "profile": one_of(&["1080p", "720p", "4k-hdr"]),
        "seconds": fastrand::u32(30..600),
        "subtitles": [{ "language": "en" }, { "language": one_of(&["fr", "pl", "hu"]) }],
    });
    ("transcode", payload)
}

/// A picture to be made small.
pub(super) fn picture() -> (&'static str, Value) {
    let payload = json!({
        "key": format!("photos/{}/{:06}.jpg", one_of(&CITIES), fastrand::u32(..999_999)),
        "sizes": [160, 320, 640],
        "crop": fastrand::bool(),
    });
    ("thumbnail", payload)
}

/// A call to somebody else's server.
pub(super) fn hook() -> (&'static str, Value) {
    let event = one_of(&["order.paid", "order.shipped", "customer.created"]);
    (event, json!({ "url": "https://hooks.example.com/in", "event": event, "attempt_id": fastrand::u32(..) }))
}

/// Why somebody else's server did not take it.
pub(super) fn hook_error() -> String {
    match fastrand::u32(..3) {
        0 => format!("connect ECONNREFUSED 192.0.2.{}:443", fastrand::u8(1..)),
        1 => format!("HTTP 503 from hooks.example.com (request {:08x})", fastrand::u32(..)),
        _ => "certificate of hooks.example.com has expired".to_owned(),
    }
}

/// An order of a shop.
pub(super) fn order() -> (&'static str, Value) {
    let name = one_of(&["reserve-stock", "charge-card", "send-parcel"]);
    let payload = json!({
        "order": fastrand::u32(10_000..99_999),
        "customer": one_of(&PEOPLE),
        "items": [{ "sku": format!("SKU-{}", fastrand::u16(100..999)), "amount": fastrand::u8(1..5) }],
        // More than a double can hold exactly: it must arrive as it was sent.
        "ledger_id": 9_007_199_254_740_993_i64 + i64::from(fastrand::u16(..)),
    });
    (name, payload)
}

/// Why an order was not carried out.
pub(super) fn order_error() -> String {
    match fastrand::u32(..3) {
        0 => format!("card declined: insufficient funds (charge ch_{:012x})", fastrand::u64(..1 << 48)),
        1 => format!("out of stock: SKU-{}", fastrand::u16(100..999)),
        _ => "deadlock detected while updating table \"stock\"".to_owned(),
    }
}

/// A recording to be written down; a list's item, so it carries its own bookkeeping.
pub(super) fn recording(number: u64, created_ms: u64) -> Value {
    json!({
        "id": format!("rec-{number:05}"),
        "type": one_of(&["interview", "lecture", "voicemail"]),
        "attempts": 0,
        "max_attempts": 3,
        "created_at": created_ms,
        "payload": { "file": format!("audio/{number:05}.ogg"), "minutes": fastrand::u8(1..40) },
    })
}

/// Why a recording could not be written down.
pub(super) fn recording_error() -> String {
    match fastrand::u32(..3) {
        0 => format!("decoder: invalid frame at byte {}", fastrand::u32(1_000..900_000)),
        1 => "no speech found".to_owned(),
        _ => format!("model server answered 504 after {} s", fastrand::u8(30..60)),
    }
}
