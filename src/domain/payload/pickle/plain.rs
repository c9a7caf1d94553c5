//! The values of a pickled dict as JSON for a program that is to work with them: nothing is left out or shortened, and
//! what cannot be told whole is refused.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::{Limits, quote};
use super::known;
use super::machine::{self, Graph, Id, Node, Object};

/// Reads a pickled dict and gives the values of these keys as JSON, in their order.
///
/// JSON has no form for bytes and objects: bytes become `{"(bytes)": "base64"}`, moments, spans, UUIDs, paths and decimals
/// their text, other objects `{"(class)": "module.Name", …}` with their fields.
///
/// # Errors
/// Why the dict cannot be told whole: what it is instead, or which limit it breaks.
pub fn values(bytes: &[u8], keys: &[&str], limits: &Limits) -> Result<Vec<Option<String>>, String> {
    let graph = machine::read(bytes, false, limits).map_err(|_| "it is no whole pickle".to_owned())?;
    if graph.limited {
        return Err("it has too many values".to_owned());
    }
    let Node::Dict(pairs) = graph.node(graph.root) else { return Err("the pickle is no dict".to_owned()) };
    let mut writer = Writer { graph: &graph, out: String::new(), room: limits.bytes.saturating_mul(2) };
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        // Of several with one name the last, as Python keeps it.
        let pair =
            pairs.iter().rev().find(|(name, _)| matches!(graph.node(*name), Node::Text(text) if **text == **key));
        let Some((_, value)) = pair else {
            found.push(None);
            continue;
        };
        writer.write(*value, limits.depth)?;
        let room = writer.room.saturating_sub(writer.out.len());
        found.push(Some(std::mem::replace(&mut writer, Writer { graph: &graph, out: String::new(), room }).out));
    }
    Ok(found)
}

struct Writer<'g> {
    graph: &'g Graph,
    out: String,
    /// Bytes that may be written: a part that is shared a thousand times is written as often.
    room: usize,
}

impl Writer<'_> {
    /// Recursion is as deep as `depth`.
    fn write(&mut self, id: Id, depth: usize) -> Result<(), String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err("it is nested too deeply, or contains itself".to_owned());
        };
        if self.out.len() > self.room {
            return Err("it becomes too large: parts of it are shared many times".to_owned());
        }
        let graph = self.graph;
        match graph.node(id) {
            Node::None => self.out.push_str("null"),
            Node::Bool(on) => self.out.push_str(if *on { "true" } else { "false" }),
            Node::Int(digits) => self.out.push_str(digits),
            Node::Float(number) if number.is_finite() => drop(write!(self.out, "{number:?}")),
            Node::Float(number) => quote(&format!("{number}"), &mut self.out),
            Node::Text(text) => quote(text, &mut self.out),
            Node::Bytes(bytes) => self.bytes(bytes),
            Node::Global(name) => quote(name, &mut self.out),
            Node::Outside(text) => quote(text, &mut self.out),
            Node::Seq(items) => self.list(items, depth)?,
            Node::Dict(pairs) => {
                self.out.push('{');
                let mut first = true;
                self.pairs(pairs, &mut first, depth)?;
                self.out.push('}');
            }
            Node::Object(object) => self.object(object, depth)?,
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out.push_str("{\"(bytes)\":\"");
        BASE64.encode_string(bytes, &mut self.out);
        self.out.push_str("\"}");
    }

    fn list(&mut self, items: &[Id], depth: usize) -> Result<(), String> {
        self.out.push('[');
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            self.write(*item, depth)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn name(&mut self, name: &str, first: &mut bool) {
        if !std::mem::take(first) {
            self.out.push(',');
        }
        quote(name, &mut self.out);
        self.out.push(':');
    }

    fn pairs(&mut self, pairs: &[(Id, Id)], first: &mut bool, depth: usize) -> Result<(), String> {
        for (key, value) in pairs {
            let name = match self.graph.node(*key) {
                Node::Text(text) => text.to_string(),
                Node::None => "null".to_owned(),
                Node::Bool(on) => on.to_string(),
                _ => known::repr(self.graph, *key, 200),
            };
            self.name(&name, first);
            self.write(*value, depth)?;
        }
        Ok(())
    }

    fn object(&mut self, object: &Object, depth: usize) -> Result<(), String> {
        let graph = self.graph;
        let class = known::class(graph, object);
        if object.items.is_empty()
            && object.elements.is_empty()
            && let Some(text) = known::meaning(graph, &class, object)
        {
            quote(&text, &mut self.out);
            return Ok(());
        }
        if let ("builtins.bytearray", [body]) = (class.as_str(), object.args.as_slice())
            && let Node::Bytes(bytes) = graph.node(*body)
        {
            self.bytes(bytes);
            return Ok(());
        }
        self.out.push('{');
        let mut first = true;
        let plain = known::is_plain_map(&class);
        if !plain {
            self.name("(class)", &mut first);
            quote(&class, &mut self.out);
        }
        self.pairs(&object.items, &mut first, depth)?;
        match object.state.map(|state| (state, graph.node(state))) {
            None | Some((_, Node::None)) => {}
            Some((_, Node::Dict(fields))) => self.pairs(fields, &mut first, depth)?,
            Some((state, _)) => {
                self.name("(state)", &mut first);
                self.write(state, depth)?;
            }
        }
        if !object.elements.is_empty() {
            self.name("(items)", &mut first);
            self.list(&object.elements, depth)?;
        }
        if let Some(named) = object.named {
            self.name("(keywords)", &mut first);
            self.write(named, depth)?;
        }
        if !object.args.is_empty() && !plain {
            self.name("(arguments)", &mut first);
            self.list(&object.args, depth)?;
        }
        self.out.push('}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_whole_in_a_form_that_programs_read() {
        let simple = b"\x80\x04}(X\x01\x00\x00\x00a(K\x01G\x3f\xf8\x00\x00\x00\x00\x00\x00NC\x02\x00\xfft\
                       X\x01\x00\x00\x00k}(X\x02\x00\x00\x00\xc3\xa9\x88K\x07]uu.";
        let found = values(simple, &["a", "k", "t"], &Limits::default());
        let expected =
            vec![Some(r#"[1,1.5,null,{"(bytes)":"AP8="}]"#.to_owned()), Some(r#"{"é":true,"7":[]}"#.to_owned()), None];
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn what_cannot_be_told_whole_is_refused() {
        let none = Limits { nodes: 8, ..Limits::default() };
        let many = b"\x80\x04}(X\x01\x00\x00\x00a](K\x01K\x02K\x03K\x04K\x05K\x06K\x07K\x08K\x09eu.";
        assert!(values(many, &["a"], &none).is_err());
        let itself = b"\x80\x04}(X\x01\x00\x00\x00a]\x94h\x00au.";
        assert!(values(itself, &["a"], &Limits::default()).is_err(), "a list that contains itself");
        assert!(values(b"\x80\x04]X\x01\x00\x00\x00aa.", &["a"], &Limits::default()).is_err());
        assert!(values(b"\x80\x04}(X\x01", &["a"], &Limits::default()).is_err());
        // l = []; for _ in range(40): l = [l, l]: each is shared twice.
        let mut bomb = b"\x80\x04}(X\x01\x00\x00\x00a".to_vec();
        bomb.extend_from_slice(b"]");
        for _ in 0..40 {
            // x -> [x, x]
            bomb.extend_from_slice(b"2\x86");
        }
        bomb.extend_from_slice(b"u.");
        let small = Limits { bytes: 4096, ..Limits::default() };
        assert!(values(&bomb, &["a"], &small).is_err());
    }
}
