//! What the instructions of a pickle would build, as inert nodes. Calls become nodes that name what would be called.

use std::collections::HashMap;

use super::super::Limits;
use super::super::tree::Stop;
use super::ops::{Arg, Op, Ops};
use super::text;

/// Number of a node.
pub(super) type Id = u32;

/// One value.
#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    /// Digits.
    Int(Box<str>),
    Float(f64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    /// A list, tuple or set.
    Seq(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function: `module.name`.
    Global(Box<str>),
    Object(Box<Object>),
    /// Something kept outside the pickle: a persistent id, an extension code or a buffer.
    Outside(Box<str>),
}

/// Something that calling a class or function would make.
#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) class: Id,
    pub(super) args: Vec<Id>,
    /// Keyword arguments, a dict.
    pub(super) named: Option<Id>,
    pub(super) state: Option<Id>,
    pub(super) items: Vec<(Id, Id)>,
    pub(super) elements: Vec<Id>,
}

/// The values of a pickle. They may share parts and contain themselves.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Id,
    /// Reading ended early because there is too much.
    pub(super) limited: bool,
}

impl Graph {
    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }
}

/// Builds the graph. Of a cut pickle everything that was begun is kept.
pub(super) fn read(bytes: &[u8], cut: bool, limits: &Limits) -> Result<Graph, Stop> {
    let mut machine = Machine::new(limits.nodes.min(MOST_NODES));
    let mut ops = Ops::new(bytes);
    loop {
        if machine.is_full() {
            return machine.finish(true);
        }
        match ops.next() {
            Ok(op) if op.code == b'.' => {
                return if ops.is_done() && machine.marks.is_empty() && machine.stack.len() == 1 {
                    machine.finish(false)
                } else {
                    Err(Stop::Syntax)
                };
            }
            Ok(op) => machine.step(&op)?,
            Err(Stop::End) if cut && !machine.stack.is_empty() => return machine.finish(false),
            Err(stop) => return Err(stop),
        }
    }
}

/// A node takes some 40 bytes here, so that memory is bounded more tightly than by the values a tree may show.
const MOST_NODES: usize = 500_000;
/// Links between nodes, entries of the stack and the memo for each node that is allowed.
const LINKS_EACH: usize = 4;

const NONE: Id = 0;
const TRUE: Id = 1;
const FALSE: Id = 2;
const EMPTY_TUPLE: Id = 3;

struct Machine {
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Nodes, stack entries and links ever made.
    spent: usize,
    most: usize,
}

impl Machine {
    fn new(most: usize) -> Self {
        let nodes = vec![Node::None, Node::Bool(true), Node::Bool(false), Node::Seq(Vec::new())];
        Self { nodes, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), spent: 0, most }
    }

    fn is_full(&self) -> bool {
        let links = self.stack.len() + self.marks.len() + self.memo.len() + self.spent;
        self.nodes.len() >= self.most || links >= self.most.saturating_mul(LINKS_EACH)
    }

    /// Ends with what is there: whatever was begun is put into what it was begun for.
    fn finish(mut self, limited: bool) -> Result<Graph, Stop> {
        while !self.marks.is_empty() {
            let items = self.pop_mark()?;
            let below = self.stack.last().copied().filter(|id| *id != EMPTY_TUPLE);
            match below.map(|id| &self.nodes[id as usize]) {
                Some(Node::Dict(_)) => self.set_items(&items)?,
                Some(Node::Seq(_) | Node::Object(_)) => self.append(&items)?,
                _ => self.make(Node::Seq(items)),
            }
        }
        while self.stack.len() > 1 {
            self.fold();
        }
        let root = *self.stack.first().ok_or(Stop::Syntax)?;
        Ok(Graph { nodes: self.nodes, root, limited })
    }

    /// Puts the topmost value into the container it was made for: the one below it, or the dict below its key.
    fn fold(&mut self) {
        let Some(last) = self.stack.pop() else { return };
        let count = self.stack.len();
        let below = self.stack[count - 1];
        match &mut self.nodes[below as usize] {
            Node::Dict(pairs) => pairs.push((last, NONE)),
            Node::Seq(items) if below != EMPTY_TUPLE => items.push(last),
            Node::Object(object) => object.elements.push(last),
            _ if count > 1 => {
                let dict = self.stack[count - 2];
                if let Node::Dict(pairs) = &mut self.nodes[dict as usize] {
                    pairs.push((below, last));
                    self.stack.pop();
                }
            }
            _ => {}
        }
    }

    fn make(&mut self, node: Node) {
        let id = Id::try_from(self.nodes.len()).expect("nodes are limited far below u32");
        self.nodes.push(node);
        self.stack.push(id);
    }

    fn pop(&mut self) -> Result<Id, Stop> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(Stop::Syntax);
        }
        self.stack.pop().ok_or(Stop::Syntax)
    }

    fn top(&self) -> Result<Id, Stop> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.get(floor..).and_then(<[Id]>::last).copied().ok_or(Stop::Syntax)
    }

    /// Everything above the innermost mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>, Stop> {
        let mark = self.marks.pop().ok_or(Stop::Syntax)?;
        let items = self.stack.split_off(mark);
        self.spent += items.len();
        Ok(items)
    }

    fn step(&mut self, op: &Op<'_>) -> Result<(), Stop> {
        match op.code {
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.discard()?,
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.stack.push(NONE),
            0x88 => self.stack.push(TRUE),
            0x89 => self.stack.push(FALSE),
            0x80 | 0x95 => {}
            b'K' | b'M' | b'J' | 0x8a | 0x8b | b'L' | b'I' | b'F' | b'G' => self.number(op)?,
            b'S' | b'T' | b'U' | b'V' | b'X' | 0x8c | 0x8d => {
                let node = Node::Text(text::string(op.code, &op.arg)?.into());
                self.make(node);
            }
            b'B' | b'C' | 0x8e | 0x96 => {
                let Arg::Bytes(bytes) = op.arg else { return Err(Stop::Syntax) };
                self.make(Node::Bytes(bytes.into()));
            }
            b']' | 0x8f => self.make(Node::Seq(Vec::new())),
            b'}' => self.make(Node::Dict(Vec::new())),
            b')' => self.stack.push(EMPTY_TUPLE),
            b'l' | b't' | 0x91 => {
                let items = self.pop_mark()?;
                self.make(Node::Seq(items));
            }
            0x85..=0x87 => {
                let count = usize::from(op.code - 0x84);
                let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.spent += count;
                self.make(Node::Seq(items));
            }
            b'd' => {
                let items = self.pop_mark()?;
                self.make(Node::Dict(Vec::new()));
                self.set_items(&items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            b'p' | b'q' | b'r' => {
                let top = self.top()?;
                self.memo.insert(op.arg.index()?, top);
            }
            0x94 => {
                let (top, next) = (self.top()?, self.memo.len());
                self.memo.insert(u32::try_from(next).map_err(|_| Stop::Syntax)?, top);
            }
            b'g' | b'h' | b'j' => {
                let id = *self.memo.get(&op.arg.index()?).ok_or(Stop::Syntax)?;
                self.stack.push(id);
            }
            _ => self.call(op)?,
        }
        Ok(())
    }

    /// `POP` takes a mark off if nothing stands above it.
    fn discard(&mut self) -> Result<(), Stop> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn number(&mut self, op: &Op<'_>) -> Result<(), Stop> {
        let node = match (&op.arg, op.code) {
            (Arg::Int(number), _) => Node::Int(number.to_string().into()),
            (Arg::Float(number), _) => Node::Float(*number),
            (Arg::Big(bytes), _) => Node::Int(text::big(bytes).into()),
            (Arg::Line(b"01"), b'I') => Node::Bool(true),
            (Arg::Line(b"00"), b'I') => Node::Bool(false),
            (Arg::Line(line), b'F') => {
                let text = std::str::from_utf8(line).map_err(|_| Stop::Syntax)?;
                Node::Float(text.trim().parse().map_err(|_| Stop::Syntax)?)
            }
            (Arg::Line(line), _) => Node::Int(text::digits(line)?.into()),
            _ => return Err(Stop::Syntax),
        };
        self.make(node);
        Ok(())
    }

    /// Everything that would name, call or fill something of the application.
    fn call(&mut self, op: &Op<'_>) -> Result<(), Stop> {
        match op.code {
            b'c' => {
                let Arg::Lines(module, name) = op.arg else { return Err(Stop::Syntax) };
                self.make(Node::Global(text::global(module, name)));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let global = match (self.text(module), self.text(name)) {
                    (Some(module), Some(name)) => text::global(module.as_bytes(), name.as_bytes()),
                    _ => return Err(Stop::Syntax),
                };
                self.make(Node::Global(global));
            }
            b'R' | 0x81 => {
                let (args, class) = (self.pop()?, self.pop()?);
                self.object(class, args, None);
            }
            0x92 => {
                let (named, args, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.object(class, args, Some(named));
            }
            b'i' => {
                let Arg::Lines(module, name) = op.arg else { return Err(Stop::Syntax) };
                let args = self.pop_mark()?;
                self.make(Node::Global(text::global(module, name)));
                let class = self.pop()?;
                self.make(Node::Object(Box::new(Object { class, args, ..Object::default() })));
            }
            b'o' => {
                let mut args = self.pop_mark()?;
                if args.is_empty() {
                    return Err(Stop::Syntax);
                }
                let class = args.remove(0);
                self.make(Node::Object(Box::new(Object { class, args, ..Object::default() })));
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.top()?);
                if let Node::Object(object) = &mut self.nodes[object as usize] {
                    object.state = Some(state);
                }
            }
            b'P' => {
                let Arg::Line(line) = op.arg else { return Err(Stop::Syntax) };
                self.make(Node::Outside(format!("persistent id {}", String::from_utf8_lossy(line)).into()));
            }
            b'Q' => {
                let id = self.pop()?;
                let id = self.text(id).map_or_else(|| "of a value".to_owned(), ToString::to_string);
                self.make(Node::Outside(format!("persistent id {id}").into()));
            }
            0x82..=0x84 => {
                let Arg::Int(code) = op.arg else { return Err(Stop::Syntax) };
                self.make(Node::Outside(format!("extension code {code}").into()));
            }
            0x97 => self.make(Node::Outside("a buffer outside the pickle".into())),
            0x98 => drop(self.top()?),
            _ => return Err(Stop::Syntax),
        }
        Ok(())
    }

    fn text(&self, id: Id) -> Option<&str> {
        match &self.nodes[id as usize] {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    fn global(&self, id: Id) -> Option<&str> {
        match &self.nodes[id as usize] {
            Node::Global(name) => Some(name),
            _ => None,
        }
    }

    fn object(&mut self, class: Id, args: Id, named: Option<Id>) {
        let args = match &self.nodes[args as usize] {
            Node::Seq(args) => args.clone(),
            _ => vec![args],
        };
        self.spent += args.len();
        match (self.global(class), args.as_slice()) {
            // How Python 3 writes bytes in protocols 0 to 2.
            (Some("_codecs.encode"), [latin, ..]) => {
                let bytes = self.text(*latin).and_then(text::latin1);
                if let Some(bytes) = bytes {
                    return self.make(Node::Bytes(bytes.into()));
                }
            }
            // How protocols 0 and 1 write an object: its class is an argument.
            (Some("copy_reg._reconstructor" | "copyreg._reconstructor"), [real, ..]) => {
                let object = Object { class: *real, ..Object::default() };
                return self.make(Node::Object(Box::new(object)));
            }
            _ => {}
        }
        self.make(Node::Object(Box::new(Object { class, args, named, ..Object::default() })));
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), Stop> {
        let top = self.top()?;
        self.spent += items.len();
        let (pairs, rest) = items.as_chunks::<2>();
        let pairs = pairs.iter().map(|[key, value]| (*key, *value));
        // An odd one is the key of a cut pickle, whose value did not arrive.
        let last = rest.first().map(|key| (*key, NONE));
        match &mut self.nodes[top as usize] {
            Node::Dict(dict) => dict.extend(pairs.chain(last)),
            Node::Object(object) => object.items.extend(pairs.chain(last)),
            _ => return Err(Stop::Syntax),
        }
        Ok(())
    }

    fn append(&mut self, items: &[Id]) -> Result<(), Stop> {
        let top = self.top()?;
        if top == EMPTY_TUPLE {
            return Err(Stop::Syntax);
        }
        self.spent += items.len();
        match &mut self.nodes[top as usize] {
            Node::Seq(list) => list.extend(items),
            Node::Object(object) => object.elements.extend(items),
            _ => return Err(Stop::Syntax),
        }
        Ok(())
    }
}
