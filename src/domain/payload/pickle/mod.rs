//! Pickles, read without Python and without executing anything.
//!
//! The instructions are interpreted into inert nodes; what would call a class or function becomes a node that names it.
//! Well-known classes are shown as what they mean, all others with class, arguments and state. Every part has a limit:
//! values, links, memo, depth and bytes; shared and circular parts cost no more than plain ones.

mod cut;
mod known;
mod machine;
mod ops;
mod plain;
mod text;

use std::collections::HashMap;

use bytes::Bytes;

use super::Limits;
use super::hex::hex_start;
use super::tree::{Builder, Kind, Span, Stop, Tree, Writing};
use machine::{Graph, Id, Node, Object};

pub use cut::{head_of_map, with_none, with_value};
pub use plain::values;

/// Bytes of a binary value that the tree shows.
const SHOWN_BYTES: usize = 256;

/// True if the first bytes begin a pickle of protocol 2 to 5, or look like one of protocol 0 or 1.
pub(super) fn may_be(bytes: &[u8]) -> bool {
    match bytes {
        [0x80, 2..=5, ..] => true,
        [b'(' | b'c' | b']' | b'}', .., b'.'] => bytes.len() >= 4,
        _ => false,
    }
}

/// Reads one pickle that takes all the bytes.
pub(super) fn read(bytes: &Bytes, cut: bool, limits: &Limits) -> Result<Tree, Stop> {
    let framed = bytes.first() == Some(&0x80);
    let graph = machine::read(bytes, cut && framed, limits)?;
    // The old protocols are text: something short that happens to be a scalar of them proves nothing.
    if !framed && matches!(graph.node(graph.root), Node::None | Node::Int(_) | Node::Text(_)) {
        return Err(Stop::Syntax);
    }
    Writer { graph: &graph, text: Vec::new(), builder: Builder::new(limits), spans: HashMap::new() }.write(limits)
}

/// A container that is being written, and which of its parts comes next. No list of parts is ever copied, so that a
/// container that is shared a million times costs nothing before it is written.
struct Open {
    id: Id,
    part: Part,
    next: usize,
}

/// Which values of a node are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The node itself.
    Whole,
    /// What was added to an object as to a list.
    Elements,
    /// What an object's class is called with.
    Arguments,
}

/// One part of a container.
enum Inner {
    Item(Id),
    Pair(Id, Id),
    Named(&'static str, Id),
    Parts(&'static str, Part),
}

struct Writer<'g> {
    graph: &'g Graph,
    text: Vec<u8>,
    builder: Builder,
    /// Text of nodes that were written before; a shared text is kept once.
    spans: HashMap<Id, (Kind, Span)>,
}

impl Writer<'_> {
    fn write(mut self, limits: &Limits) -> Result<Tree, Stop> {
        let mut open: Vec<Open> = Vec::new();
        open.extend(self.value(self.graph.root, None, &[])?);
        let mut limited = self.graph.limited;
        while let Some(top) = open.last_mut() {
            if self.builder.is_full() || self.text.len() > limits.bytes.saturating_mul(2) {
                limited = true;
                break;
            }
            let Open { id, part, next } = *top;
            top.next += 1;
            let begun = match self.inner(id, part, next) {
                Some(Inner::Item(item)) => self.value(item, None, &open)?,
                Some(Inner::Pair(key, value)) => {
                    let name = self.name(key);
                    self.value(value, Some(name), &open)?
                }
                Some(Inner::Named(label, value)) => {
                    let name = self.say(label);
                    self.value(value, Some(name), &open)?
                }
                Some(Inner::Parts(label, part)) => {
                    let name = self.say(label);
                    self.builder.begin(Kind::Seq, Some(name))?;
                    Some(Open { id, part, next: 0 })
                }
                None => {
                    self.builder.end();
                    open.pop();
                    None
                }
            };
            open.extend(begun);
        }
        Ok(self.builder.finish(self.text.into(), Writing::Plain, limited))
    }

    /// Writes a value, or begins it if it has parts.
    fn value(&mut self, id: Id, name: Option<Span>, open: &[Open]) -> Result<Option<Open>, Stop> {
        let graph = self.graph;
        if open.iter().any(|open| open.id == id && open.part == Part::Whole) {
            let span = self.say("(contains itself here)");
            self.builder.scalar(Kind::Extension, name, span);
            return Ok(None);
        }
        match graph.node(id) {
            Node::Seq(_) => self.builder.begin(Kind::Seq, name)?,
            Node::Dict(_) => self.builder.begin(Kind::Map, name)?,
            Node::Object(object) => {
                if let Some((kind, span)) = self.short(id, object) {
                    self.builder.scalar(kind, name, span);
                    return Ok(None);
                }
                self.builder.begin(Kind::Map, name)?;
                let class = known::class(graph, object);
                if !known::is_plain_map(&class) || object.state.is_some() {
                    let (label, class) = (self.say("(class)"), self.say(&class));
                    self.builder.scalar(Kind::Extension, Some(label), class);
                }
            }
            _ => {
                let (kind, span) = self.scalar(id);
                self.builder.scalar(kind, name, span);
                return Ok(None);
            }
        }
        Ok(Some(Open { id, part: Part::Whole, next: 0 }))
    }

    /// The part of a container with this number; `None` behind the last.
    fn inner(&self, id: Id, part: Part, number: usize) -> Option<Inner> {
        let pair = |pairs: &[(Id, Id)], number: usize| pairs.get(number).map(|(key, value)| Inner::Pair(*key, *value));
        let item = |items: &[Id]| items.get(number).map(|item| Inner::Item(*item));
        match (self.graph.node(id), part) {
            (Node::Seq(items), _) => item(items),
            (Node::Dict(pairs), _) => pair(pairs, number),
            (Node::Object(object), Part::Elements) => item(&object.elements),
            (Node::Object(object), Part::Arguments) => item(&object.args),
            (Node::Object(object), Part::Whole) => {
                if number < object.items.len() {
                    return pair(&object.items, number);
                }
                let mut rest = number - object.items.len();
                if let Some(state) = object.state {
                    match self.graph.node(state) {
                        Node::Dict(fields) if rest < fields.len() => return pair(fields, rest),
                        Node::Dict(fields) => rest -= fields.len(),
                        Node::None => {}
                        _ if rest == 0 => return Some(Inner::Named("(state)", state)),
                        _ => rest -= 1,
                    }
                }
                let plain = known::is_plain_map(&known::class(self.graph, object));
                let elements = (!object.elements.is_empty()).then_some(Inner::Parts("(items)", Part::Elements));
                let named = object.named.map(|named| Inner::Named("(keywords)", named));
                let args = (!object.args.is_empty() && !plain).then_some(Inner::Parts("(arguments)", Part::Arguments));
                [elements, named, args].into_iter().flatten().nth(rest)
            }
            _ => None,
        }
    }

    /// An object that one line tells whole.
    fn short(&mut self, id: Id, object: &Object) -> Option<(Kind, Span)> {
        if let Some(known) = self.spans.get(&id) {
            return Some(*known);
        }
        let (kind, text) = known::short(self.graph, object)?;
        let span = self.say(&text);
        self.spans.insert(id, (kind, span));
        Some((kind, span))
    }

    fn say(&mut self, text: &str) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        Span::new(start, self.text.len())
    }

    /// A key as the name of a value.
    fn name(&mut self, id: Id) -> Span {
        match self.graph.node(id) {
            Node::Seq(_) | Node::Dict(_) | Node::Object(_) => {
                let text = known::repr(self.graph, id, 200);
                self.say(&text)
            }
            _ => self.scalar(id).1,
        }
    }

    fn scalar(&mut self, id: Id) -> (Kind, Span) {
        if let Some(known) = self.spans.get(&id) {
            return *known;
        }
        let graph = self.graph;
        let (kind, span) = match graph.node(id) {
            Node::Text(text) => (Kind::String, self.say(text)),
            Node::Int(digits) => (Kind::Number, self.say(digits)),
            Node::Float(number) => (Kind::Number, self.say(&format!("{number:?}"))),
            Node::Bool(true) => (Kind::Bool, self.say("true")),
            Node::Bool(false) => (Kind::Bool, self.say("false")),
            Node::Bytes(bytes) => {
                let shown = format!("{} bytes {}", bytes.len(), hex_start(bytes, SHOWN_BYTES));
                (Kind::Bytes, self.say(&shown))
            }
            Node::Global(name) => (Kind::Extension, self.say(name)),
            Node::Outside(text) => (Kind::Extension, self.say(text)),
            Node::None | Node::Seq(_) | Node::Dict(_) | Node::Object(_) => (Kind::Null, self.say("null")),
        };
        self.spans.insert(id, (kind, span));
        (kind, span)
    }
}

#[cfg(test)]
mod tests;
