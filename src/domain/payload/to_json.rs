//! A tree as JSON, for scripts that cannot read the format it came in.

use super::tree::{Key, Kind, NodeRef, Tree};

impl Tree {
    /// The values as a JSON document. What JSON has no form for (bytes, moments, classes) becomes its text; numbers
    /// keep their digits.
    pub fn to_json(&self) -> String {
        self.root().map_or_else(|| "null".to_owned(), |root| root.to_json(|_| false))
    }
}

impl NodeRef<'_> {
    /// Likewise of what stands here. `leave_out`: names of the outermost map that are not wanted.
    pub fn to_json(self, leave_out: impl Fn(&str) -> bool) -> String {
        let mut out = String::new();
        write(self, &leave_out, &mut out);
        out
    }
}

/// Recursion is as deep as the tree, which is limited.
fn write(node: NodeRef<'_>, leave_out: &dyn Fn(&str) -> bool, out: &mut String) {
    match node.kind() {
        Kind::Seq | Kind::Map => {
            let map = node.kind() == Kind::Map;
            out.push(if map { '{' } else { '[' });
            let wanted = |(key, _): &(Key<'_>, NodeRef<'_>)| !matches!(key, Key::Name(name) if leave_out(name));
            for (place, (key, child)) in node.children().filter(wanted).enumerate() {
                if place > 0 {
                    out.push(',');
                }
                if let Key::Name(name) = key {
                    quote(&name, out);
                    out.push(':');
                }
                write(child, &|_| false, out);
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
