//! A tree as JSON, for scripts that cannot read the format it came in.

use super::tree::{Key, Kind, NodeRef, Tree};

impl Tree {
    /// The values as a JSON document. What JSON has no form for (bytes, moments, classes) becomes its text; numbers
    /// keep their digits.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        match self.root() {
            Some(root) => write(root, &mut out),
            None => out.push_str("null"),
        }
        out
    }
}

/// Recursion is as deep as the tree, which is limited.
fn write(node: NodeRef<'_>, out: &mut String) {
    match node.kind() {
        Kind::Seq | Kind::Map => {
            let map = node.kind() == Kind::Map;
            out.push(if map { '{' } else { '[' });
            for (place, (key, child)) in node.children().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                if let Key::Name(name) = key {
                    quote(&name, out);
                    out.push(':');
                }
                write(child, out);
            }
            out.push(if map { '}' } else { ']' });
        }
        Kind::Null => out.push_str("null"),
        Kind::Bool => out.push_str(if node.text() == "true" { "true" } else { "false" }),
        Kind::Number => {
            let text = node.text();
            if serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok() {
                out.push_str(&text);
            } else {
                quote(&text, out);
            }
        }
        Kind::String | Kind::Bytes | Kind::Extension => quote(&node.text(), out),
    }
}

/// Text as JSON.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::to_string(text).expect("every text has a form in JSON"));
}
