//! Values of a payload in the order in which they were written, each with its place in one shared text.

use std::borrow::Cow;

use bytes::Bytes;

/// What a value is; decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// No value.
    Null,
    /// True or false.
    Bool,
    /// A number; its text is exactly what was written.
    Number,
    /// Text.
    String,
    /// Bytes that are no text; shown in hex.
    Bytes,
    /// A value of a type the format lets applications define.
    Extension,
    /// Values in order.
    Seq,
    /// Named values in order. A name may occur twice.
    Map,
}

/// A run of bytes of the tree's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        let narrow = |place| u32::try_from(place).expect("a payload is cut at 16 MB before it is read");
        Self { start: narrow(start), end: narrow(end) }
    }

    fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start as usize..self.end as usize]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyPlace {
    Root,
    Index(u32),
    Name(Span),
}

#[derive(Clone, Debug, PartialEq)]
struct Node {
    depth: u8,
    kind: Kind,
    key: KeyPlace,
    text: Span,
    /// Direct children.
    children: u32,
    /// All nodes below; the next sibling is that far.
    below: u32,
}

/// How the tree's text is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// Names and strings carry JSON's escapes.
    JsonEscapes,
    /// As it is.
    Plain,
}

/// The values of a payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    text: Bytes,
    writing: Writing,
    nodes: Vec<Node>,
    limited: bool,
}

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Not this format.
    Syntax,
    /// The bytes ended inside a value.
    End,
    /// Nested too deeply.
    Depth,
}

/// Builds a tree from values in the order in which they are written.
pub(super) struct Builder {
    nodes: Vec<Node>,
    open: Vec<usize>,
    depth: usize,
    room: usize,
}

impl Builder {
    /// With room for so many levels and values.
    pub(super) fn new(limits: &super::Limits) -> Self {
        Self { nodes: Vec::new(), open: Vec::new(), depth: limits.depth.min(usize::from(u8::MAX)), room: limits.nodes }
    }

    /// True if no further value may be added.
    pub(super) fn is_full(&self) -> bool {
        self.nodes.len() >= self.room
    }

    /// Kind of the innermost open container.
    pub(super) fn inside(&self) -> Option<Kind> {
        self.open.last().map(|index| self.nodes[*index].kind)
    }

    /// Adds a value without children. `name` is given inside maps only.
    pub(super) fn scalar(&mut self, kind: Kind, name: Option<Span>, text: Span) {
        let key = match (self.open.last(), name) {
            (_, Some(name)) => KeyPlace::Name(name),
            (Some(parent), None) => KeyPlace::Index(self.nodes[*parent].children),
            (None, None) => KeyPlace::Root,
        };
        if let Some(parent) = self.open.last() {
            self.nodes[*parent].children += 1;
        }
        let depth = u8::try_from(self.open.len()).expect("the depth limit is below 256");
        self.nodes.push(Node { depth, kind, key, text, children: 0, below: 0 });
    }

    /// Begins a sequence or map.
    pub(super) fn begin(&mut self, kind: Kind, name: Option<Span>) -> Result<(), Stop> {
        if self.open.len() >= self.depth {
            return Err(Stop::Depth);
        }
        self.scalar(kind, name, Span::default());
        self.open.push(self.nodes.len() - 1);
        Ok(())
    }

    /// Ends the innermost container; true if the whole value is complete.
    pub(super) fn end(&mut self) -> bool {
        if let Some(index) = self.open.pop() {
            let below = self.nodes.len() - index - 1;
            self.nodes[index].below = u32::try_from(below).expect("the node limit is far below u32");
        }
        self.open.is_empty()
    }

    /// The tree; containers still open end here.
    pub(super) fn finish(mut self, text: Bytes, writing: Writing, limited: bool) -> Tree {
        while !self.open.is_empty() {
            self.end();
        }
        self.nodes.shrink_to_fit();
        Tree { text, writing, nodes: self.nodes, limited }
    }
}

/// A value's name or place in its container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// The outermost value.
    Root,
    /// Place in a sequence, from 0.
    Index(u32),
    /// Name in a map; raw, make it harmless before showing it.
    Name(Cow<'a, str>),
}

/// A value with its key, as [`NodeRef::children`] gives it.
pub type Child<'a> = (Key<'a>, NodeRef<'a>);

impl Tree {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True if there is no value.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// True if values were left out because there are too many.
    pub fn is_limited(&self) -> bool {
        self.limited
    }

    /// The outermost value.
    pub fn root(&self) -> Option<NodeRef<'_>> {
        self.node(0)
    }

    /// A value by its number in writing order.
    pub fn node(&self, index: usize) -> Option<NodeRef<'_>> {
        (index < self.nodes.len()).then_some(NodeRef { tree: self, index })
    }

    /// The value at a path of names (or numbers, inside sequences) from the root.
    pub fn at<S: AsRef<str>>(&self, path: &[S]) -> Option<NodeRef<'_>> {
        path.iter().try_fold(self.root()?, |node, step| node.get(step.as_ref()))
    }

    /// Where a value is, for people: `filters.kinds[1]`. Raw text.
    pub fn path(&self, index: usize) -> String {
        let mut steps = Vec::new();
        let mut here = 0;
        while let Some(node) = self.node(here) {
            steps.push(node.key());
            // The child whose subtree holds the index.
            match node.indexes().find(|child| index >= *child && index <= child + self.nodes[*child].below as usize) {
                Some(child) => here = child,
                None => break,
            }
        }
        let mut path = String::new();
        for step in steps {
            match step {
                Key::Root => {}
                Key::Index(place) => path.push_str(&format!("[{place}]")),
                Key::Name(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&name);
                }
            }
        }
        path
    }

    fn string(&self, span: Span) -> Cow<'_, str> {
        let raw = span.of(&self.text);
        match self.writing {
            Writing::JsonEscapes => super::json::unescape(raw),
            Writing::Plain => String::from_utf8_lossy(raw),
        }
    }
}

/// One value of a tree.
#[derive(Clone, Copy, Debug)]
pub struct NodeRef<'a> {
    tree: &'a Tree,
    index: usize,
}

impl<'a> NodeRef<'a> {
    fn node(self) -> &'a Node {
        &self.tree.nodes[self.index]
    }

    /// Its number in writing order; the same as long as the payload is.
    pub fn index(self) -> usize {
        self.index
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// Containers around it.
    pub fn depth(self) -> usize {
        usize::from(self.node().depth)
    }

    /// Its name or place.
    pub fn key(self) -> Key<'a> {
        match self.node().key {
            KeyPlace::Root => Key::Root,
            KeyPlace::Index(place) => Key::Index(place),
            KeyPlace::Name(span) => Key::Name(self.tree.string(span)),
        }
    }

    /// Number of values directly inside.
    pub fn child_count(self) -> usize {
        self.node().children as usize
    }

    /// Number of values inside, at all depths.
    pub fn below(self) -> usize {
        self.node().below as usize
    }

    /// True for sequences and maps.
    pub fn is_container(self) -> bool {
        matches!(self.kind(), Kind::Seq | Kind::Map)
    }

    /// Text of a value without children: a string decoded, a number as it was written. Raw.
    pub fn text(self) -> Cow<'a, str> {
        match self.kind() {
            Kind::String => self.tree.string(self.node().text),
            Kind::Seq | Kind::Map => Cow::Borrowed(""),
            _ => String::from_utf8_lossy(self.node().text.of(&self.tree.text)),
        }
    }

    /// As [`Self::text`], but only about the first `bytes` bytes of it, and whether that was all.
    pub fn text_start(self, bytes: usize) -> (Cow<'a, str>, bool) {
        let span = self.node().text;
        let raw = span.of(&self.tree.text);
        if raw.len() <= bytes || self.is_container() {
            return (self.text(), true);
        }
        // An escape or a character may be cut in two; a few replacement characters less are not worth more.
        let part = Span { start: span.start, end: span.start + u32::try_from(bytes).unwrap_or(u32::MAX) };
        let text = match self.kind() {
            Kind::String => self.tree.string(part),
            _ => String::from_utf8_lossy(part.of(&self.tree.text)),
        };
        (Cow::Owned(text.trim_end_matches('\u{FFFD}').to_owned()), false)
    }

    /// Bytes that its text takes in the payload.
    pub fn text_bytes(self) -> usize {
        let span = self.node().text;
        (span.end - span.start) as usize
    }

    fn indexes(self) -> impl Iterator<Item = usize> + 'a {
        let nodes = &self.tree.nodes;
        let mut next = self.index + 1;
        let end = next + self.node().below as usize;
        std::iter::from_fn(move || {
            let index = (next < end).then_some(next)?;
            next += 1 + nodes[index].below as usize;
            Some(index)
        })
    }

    /// The values directly inside, in order.
    pub fn children(self) -> impl Iterator<Item = Child<'a>> {
        let tree = self.tree;
        self.indexes().map(move |index| {
            let node = NodeRef { tree, index };
            (node.key(), node)
        })
    }

    /// A value inside by name, or by number in a sequence. Of several with one name the last, as most readers do.
    pub fn get(self, step: &str) -> Option<NodeRef<'a>> {
        match self.kind() {
            Kind::Map => self
                .children()
                .filter(|(key, _)| matches!(key, Key::Name(name) if name == step))
                .last()
                .map(|(_, node)| node),
            Kind::Seq => self.children().nth(step.parse().ok()?).map(|(_, node)| node),
            _ => None,
        }
    }
}
