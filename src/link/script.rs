//! Lua by its hash, sent whole only when the server does not know it (S21).

use std::sync::OnceLock;

use redis::{Cmd, Value, cmd};

use super::error::{CommandError, LinkError};
use super::send::Link;

/// A script of this program. Values reach it through `KEYS` and `ARGV` only, never through its text.
#[derive(Debug)]
pub struct Script {
    body: &'static str,
    hash: OnceLock<String>,
}

impl Script {
    /// A script; its text is part of the program.
    pub const fn new(body: &'static str) -> Self {
        Self { body, hash: OnceLock::new() }
    }

    /// Its SHA-1, by which the server keeps it.
    pub fn hash(&self) -> &str {
        self.hash.get_or_init(|| sha1_smol::Sha1::from(self.body).digest().to_string())
    }

    /// Runs it. A server that does not know it (`NOSCRIPT`, after a restart or `SCRIPT FLUSH`) has run nothing, so it
    /// is sent again whole. After any other error it is not: it may have run.
    ///
    /// # Errors
    ///
    /// [`LinkError::Gate`] on a read-only link, since a script may write; else as [`Link::ask`].
    pub async fn run<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &self,
        link: &Link,
        keys: &[K],
        arguments: &[A],
    ) -> Result<Value, LinkError> {
        match link.ask(call("EVALSHA", self.hash(), keys, arguments)).await {
            Err(LinkError::Command(CommandError::Refused { code, .. })) if code == "NOSCRIPT" => {
                link.ask(call("EVAL", self.body, keys, arguments)).await
            }
            result => result,
        }
    }
}

fn call<K: AsRef<[u8]>, A: AsRef<[u8]>>(name: &str, script: &str, keys: &[K], arguments: &[A]) -> Cmd {
    let mut command = cmd(name);
    command.arg(script).arg(keys.len());
    for key in keys {
        command.arg(key.as_ref());
    }
    for argument in arguments {
        command.arg(argument.as_ref());
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s21_hash_is_the_sha1_of_the_text() {
        static ONE: Script = Script::new("return 1");
        assert_eq!(ONE.hash(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }
}
