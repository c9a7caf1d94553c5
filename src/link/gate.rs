//! The one gate before the socket: only commands of the table, only within their limits, writes only where allowed.

use redis::{Arg, Cmd};

use super::commands::{COMMANDS, find};

/// What a link lets out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Everything of the table but writes (S1).
    #[default]
    ReadOnly,
    /// Everything of the table.
    ReadWrite,
}

/// Why a command may not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The command as far as it was understood; never its arguments.
    pub command: String,
    /// What it breaks.
    pub reason: String,
    /// True if a correct program never tries this; false if the mode alone stands in the way.
    pub bug: bool,
}

/// Lets a command pass, giving its position in [`COMMANDS`], or says why not.
pub fn check(command: &Cmd, mode: Mode) -> Result<usize, Breach> {
    let words: Vec<&[u8]> = command
        .args_iter()
        .map(|word| match word {
            Arg::Simple(bytes) => bytes,
            // The place of a cursor, which qtop always writes as a number of its own.
            _ => b"0",
        })
        .collect();
    let Some(index) = find(&words) else {
        let name = words.first().map(|word| String::from_utf8_lossy(&word[..word.len().min(32)]).into_owned());
        return Err(Breach {
            command: name.unwrap_or_else(|| "an empty command".to_owned()),
            reason: "it is not in the table of commands qtop may send".to_owned(),
            bug: true,
        });
    };
    let spec = &COMMANDS[index];
    if spec.changes() && mode == Mode::ReadOnly {
        return Err(Breach { command: spec.title(), reason: "this connection is read-only".to_owned(), bug: false });
    }
    let fixed = 1 + usize::from(spec.subcommand.is_some());
    match spec.limit.check(&words[fixed..]) {
        Ok(()) => Ok(index),
        Err(reason) => Err(Breach { command: spec.title(), reason, bug: true }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redis::cmd;

    use super::super::commands::Access;
    use super::*;

    fn line(text: &str) -> Cmd {
        let mut words = text.split(' ');
        let mut command = cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command
    }

    #[test]
    fn p3_forbidden_commands_never_pass_in_either_mode() {
        for text in [
            "KEYS *",
            "keys bull:*",
            "MONITOR",
            "SMEMBERS s",
            "DEBUG SLEEP 1",
            "SORT l",
            "SORT_RO l",
            "FLUSHALL",
            "FLUSHDB ASYNC",
            "SAVE",
            "BGSAVE",
            "CONFIG SET maxmemory 1",
            "CONFIG GET maxmemory",
            "SCRIPT FLUSH",
            "SCRIPT KILL",
            "CLIENT KILL ID 5",
            "CLIENT PAUSE 1000",
            "SHUTDOWN",
            "BLPOP l 0",
            "SUBSCRIBE c",
            "MULTI",
            "LRANGE l 0 -1",
            "XRANGE s - +",
        ] {
            for mode in [Mode::ReadOnly, Mode::ReadWrite] {
                let breach = check(&line(text), mode).unwrap_err();
                assert!(breach.bug, "{text}: {breach:?}");
            }
        }
        assert!(check(&Cmd::new(), Mode::ReadOnly).is_err());
    }

    #[test]
    fn s1_writes_and_scripts_pass_only_where_allowed() {
        for text in ["LPUSH l x", "EVAL return 0", "EVALSHA abc 0", "DEL k", "XADD s * a b", "SET k v"] {
            let breach = check(&line(text), Mode::ReadOnly).unwrap_err();
            assert!(!breach.bug, "{text}");
            assert!(breach.reason.contains("read-only"));
            assert!(check(&line(text), Mode::ReadWrite).is_ok(), "{text}");
        }
    }

    #[test]
    fn s8_a_breach_never_carries_arguments() {
        let breach = check(&line("FOO hunter2"), Mode::ReadOnly).unwrap_err();
        assert!(!format!("{breach:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn s1_no_bytes_pass_a_write_or_panic(words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..8), 1..6)) {
            let mut command = Cmd::new();
            for word in &words {
                command.arg(word.as_slice());
            }
            if let Ok(index) = check(&command, Mode::ReadOnly) {
                prop_assert_ne!(COMMANDS[index].access, Access::Write);
            }
        }

        #[test]
        fn s1_no_table_command_with_any_arguments_writes(at in 0..COMMANDS.len(), words in proptest::collection::vec("[A-Z0-9+-]{0,6}", 0..8)) {
            let spec = &COMMANDS[at];
            let mut command = cmd(spec.name);
            if let Some(subcommand) = spec.subcommand {
                command.arg(subcommand);
            }
            for word in &words {
                command.arg(word);
            }
            let passed = check(&command, Mode::ReadOnly);
            prop_assert!(passed.is_err() || spec.access != Access::Write);
        }
    }
}
