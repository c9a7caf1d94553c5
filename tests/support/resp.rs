//! Cutting a stream of bytes into the commands a client sends.

/// Collects bytes and yields whole commands.
#[derive(Default)]
pub(crate) struct Commands {
    pending: Vec<u8>,
    opaque: bool,
}

impl Commands {
    /// Adds bytes and returns the commands that are now complete, each with the number of bytes of `pending` it took.
    /// A stream that is not RESP (TLS) is recognised at its first bytes and yields nothing.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<(Vec<Vec<u8>>, usize)> {
        let mut found = Vec::new();
        if self.opaque {
            return found;
        }
        self.pending.extend_from_slice(bytes);
        loop {
            match parse(&self.pending) {
                Parsed::Command(arguments, length) => {
                    self.pending.drain(..length);
                    found.push((arguments, length));
                }
                Parsed::More => return found,
                Parsed::Foreign => {
                    self.opaque = true;
                    self.pending.clear();
                    return found;
                }
            }
        }
    }

    /// Bytes of a command that is not complete yet.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }
}

enum Parsed {
    Command(Vec<Vec<u8>>, usize),
    More,
    Foreign,
}

fn parse(bytes: &[u8]) -> Parsed {
    let Some(&first) = bytes.first() else { return Parsed::More };
    if first != b'*' {
        return Parsed::Foreign;
    }
    let Some((count, mut at)) = number(bytes, 1) else { return Parsed::More };
    let mut arguments = Vec::new();
    for _ in 0..count {
        match bytes.get(at) {
            None => return Parsed::More,
            Some(b'$') => {}
            Some(_) => return Parsed::Foreign,
        }
        let Some((length, start)) = number(bytes, at + 1) else { return Parsed::More };
        let end = start + length;
        if bytes.len() < end + 2 {
            return Parsed::More;
        }
        arguments.push(bytes[start..end].to_vec());
        at = end + 2;
    }
    Parsed::Command(arguments, at)
}

/// A decimal number ended by CR LF, and the place after it.
fn number(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let length = bytes[start..].windows(2).position(|pair| pair == b"\r\n")?;
    let text = std::str::from_utf8(&bytes[start..start + length]).ok()?;
    Some((text.parse().ok()?, start + length + 2))
}
