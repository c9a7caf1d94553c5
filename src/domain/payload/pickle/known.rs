//! Classes of Python's own library as what they mean, and short one-line forms of the rest.

use std::fmt::Write;

use super::super::tree::Kind;
use super::machine::{Graph, Id, Node, Object};
use crate::domain::text::{first_line, harmless_bytes};

/// Values inside one another that a one-line form goes into.
const DEPTH: usize = 6;
/// Characters of a one-line form.
const SHORT: usize = 2_000;

/// The class or function an object comes from.
pub(super) fn class(graph: &Graph, object: &Object) -> String {
    match graph.node(object.class) {
        Node::Global(name) => name.to_string(),
        Node::Outside(text) => text.to_string(),
        _ => "(no class)".to_owned(),
    }
}

/// True for classes that are nothing but a dict.
pub(super) fn is_plain_map(class: &str) -> bool {
    matches!(class, "collections.OrderedDict" | "collections.defaultdict" | "collections.Counter")
}

/// An object that one line tells whole, with the kind it is shown as.
pub(super) fn short(graph: &Graph, object: &Object) -> Option<(Kind, String)> {
    let class = class(graph, object);
    if !object.items.is_empty() || !object.elements.is_empty() || is_plain_map(&class) {
        return None;
    }
    if let Some(text) = meaning(graph, &class, object) {
        let kind = if class == "decimal.Decimal" { Kind::Number } else { Kind::Extension };
        return Some((kind, text));
    }
    let stateless = object.state.is_none_or(|state| matches!(graph.node(state), Node::None));
    let plain = |id: &Id| !matches!(graph.node(*id), Node::Seq(_) | Node::Dict(_) | Node::Object(_));
    let bare = stateless && object.named.is_none() && object.args.iter().all(plain);
    (bare && object.args.len() <= 4).then(|| (Kind::Extension, call(graph, &class, object, DEPTH, SHORT)))
}

/// A value on one line, as Python would print it or nearly so.
pub(super) fn repr(graph: &Graph, id: Id, most: usize) -> String {
    let mut out = String::new();
    write_repr(graph, id, DEPTH, most, &mut out);
    if out.chars().count() > most {
        out = first_line(&out, most);
    }
    out
}

fn call(graph: &Graph, class: &str, object: &Object, depth: usize, most: usize) -> String {
    let mut out = format!("{class}(");
    list(graph, &object.args, depth, most, &mut out);
    out.push(')');
    out
}

fn list(graph: &Graph, items: &[Id], depth: usize, most: usize, out: &mut String) {
    for (place, item) in items.iter().enumerate() {
        if out.len() > most {
            out.push('…');
            return;
        }
        if place > 0 {
            out.push_str(", ");
        }
        write_repr(graph, *item, depth, most, out);
    }
}

fn write_repr(graph: &Graph, id: Id, depth: usize, most: usize, out: &mut String) {
    if depth == 0 || out.len() > most {
        out.push('…');
        return;
    }
    match graph.node(id) {
        Node::None => out.push_str("None"),
        Node::Bool(true) => out.push_str("True"),
        Node::Bool(false) => out.push_str("False"),
        Node::Int(digits) => out.push_str(digits),
        Node::Float(number) => drop(write!(out, "{number:?}")),
        Node::Text(text) => {
            let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
            out.push(quote);
            out.extend(text.chars().take(most));
            out.push(quote);
        }
        Node::Bytes(bytes) => drop(write!(out, "b'{}'", harmless_bytes(&bytes[..bytes.len().min(most)]))),
        Node::Global(name) => out.push_str(name),
        Node::Outside(text) => drop(write!(out, "<{text}>")),
        Node::Seq(items) => {
            out.push('[');
            list(graph, items, depth - 1, most, out);
            out.push(']');
        }
        Node::Dict(pairs) => {
            out.push('{');
            for (place, (key, value)) in pairs.iter().enumerate() {
                if out.len() > most {
                    out.push('…');
                    break;
                }
                if place > 0 {
                    out.push_str(", ");
                }
                write_repr(graph, *key, depth - 1, most, out);
                out.push_str(": ");
                write_repr(graph, *value, depth - 1, most, out);
            }
            out.push('}');
        }
        Node::Object(object) => {
            let class = class(graph, object);
            let text = meaning(graph, &class, object)
                .unwrap_or_else(|| call(graph, &class, object, depth - 1, most.min(SHORT)));
            out.push_str(&text);
        }
    }
}

/// Moments, spans, numbers and ids.
pub(super) fn meaning(graph: &Graph, class: &str, object: &Object) -> Option<String> {
    let args = object.args.as_slice();
    match class {
        "datetime.datetime" => {
            let [body, zone @ ..] = args else { return None };
            let text = moment(bytes(graph, *body)?)?;
            Some(match zone.first() {
                Some(zone) => format!("{text}{}", offset(graph, *zone)),
                None => text,
            })
        }
        "datetime.date" => match bytes(graph, *args.first()?)? {
            [high, low, month, day] => Some(format!("{:04}-{month:02}-{day:02}", year(*high, *low))),
            _ => None,
        },
        "datetime.time" => clock(bytes(graph, *args.first()?)?),
        "datetime.timedelta" => Some(span(timedelta(graph, object)?)),
        "datetime.timezone" => Some(offset_of(graph, object)),
        "decimal.Decimal" | "fractions.Fraction" => text(graph, *args.first()?).map(str::to_owned),
        "uuid.UUID" => {
            let state = object.state?;
            let Node::Dict(fields) = graph.node(state) else { return None };
            let (_, number) = fields.iter().find(|(key, _)| text(graph, *key) == Some("int"))?;
            let Node::Int(digits) = graph.node(*number) else { return None };
            let hex = format!("{:032x}", digits.parse::<u128>().ok()?);
            Some(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
        }
        "pathlib.PosixPath"
        | "pathlib.PurePosixPath"
        | "pathlib.Path"
        | "pathlib.WindowsPath"
        | "pathlib.PureWindowsPath" => {
            let parts: Option<Vec<&str>> = args.iter().map(|part| text(graph, *part)).collect();
            let parts = parts.filter(|parts| !parts.is_empty())?;
            Some(match parts.split_first() {
                Some((&"/", rest)) => format!("/{}", rest.join("/")),
                _ => parts.join("/"),
            })
        }
        "complex" => match args {
            [real, imaginary] => match (graph.node(*real), graph.node(*imaginary)) {
                (Node::Float(real), Node::Float(imaginary)) => Some(format!("{real}{imaginary:+}j")),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn bytes(graph: &Graph, id: Id) -> Option<&[u8]> {
    match graph.node(id) {
        Node::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

fn text(graph: &Graph, id: Id) -> Option<&str> {
    match graph.node(id) {
        Node::Text(text) => Some(text),
        _ => None,
    }
}

fn int(graph: &Graph, id: Id) -> Option<i64> {
    match graph.node(id) {
        Node::Int(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn year(high: u8, low: u8) -> u32 {
    u32::from(high) << 8 | u32::from(low)
}

/// The ten bytes of a datetime; the month's highest bit tells the second of two equal local times.
fn moment(body: &[u8]) -> Option<String> {
    let [high, low, month, day, time @ ..] = body else { return None };
    Some(format!("{:04}-{:02}-{day:02}T{}", year(*high, *low), month & 0x7f, clock(time)?))
}

fn clock(body: &[u8]) -> Option<String> {
    let [hour, minute, second, a, b, c] = body else { return None };
    let micros = u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c);
    let hour = hour & 0x7f;
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    Some(format!("{hour:02}:{minute:02}:{second:02}{fraction}"))
}

/// Microseconds of a span: days, seconds and microseconds are its arguments.
fn timedelta(graph: &Graph, object: &Object) -> Option<i128> {
    let mut parts = [0; 3];
    for (part, id) in parts.iter_mut().zip(&object.args) {
        *part = i128::from(int(graph, *id)?);
    }
    Some((parts[0] * 86_400 + parts[1]) * 1_000_000 + parts[2])
}

/// `1 day, 2:00:00.500000` as Python prints it.
fn span(micros: i128) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let whole = micros.unsigned_abs();
    let (seconds, rest) = (whole / 1_000_000, whole % 1_000_000);
    let days = seconds / 86_400;
    let clock = format!("{}:{:02}:{:02}", seconds % 86_400 / 3_600, seconds % 3_600 / 60, seconds % 60);
    let days = match days {
        0 => String::new(),
        1 => "1 day, ".to_owned(),
        days => format!("{days} days, "),
    };
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:06}") };
    format!("{sign}{days}{clock}{fraction}")
}

/// A time zone behind a moment: `Z`, `+02:00` or its name.
fn offset(graph: &Graph, id: Id) -> String {
    let Node::Object(zone) = graph.node(id) else {
        let name = repr(graph, id, 60);
        return format!(" {name}");
    };
    match class(graph, zone).as_str() {
        "datetime.timezone" => offset_of(graph, zone),
        "pytz._UTC" => "Z".to_owned(),
        _ => match zone.args.first().and_then(|name| text(graph, *name)) {
            Some(name) => format!(" {name}"),
            None => format!(" {}", repr(graph, id, 60)),
        },
    }
}

fn offset_of(graph: &Graph, zone: &Object) -> String {
    let micros = zone.args.first().and_then(|id| match graph.node(*id) {
        Node::Object(delta) => timedelta(graph, delta),
        _ => None,
    });
    match micros.map(|micros| micros / 60_000_000) {
        Some(0) => "Z".to_owned(),
        Some(minutes) => {
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.unsigned_abs();
            format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
        None => " (zone)".to_owned(),
    }
}
