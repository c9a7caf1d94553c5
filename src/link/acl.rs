//! The ACL rule a user needs for qtop, made from the command table (S2, S20).

use super::commands::{COMMANDS, CommandSpec, SCRIPTED};
use super::gate::Mode;

/// The rules for `ACL SETUSER name on >password …` that allow exactly what qtop sends: reading the keys of these
/// patterns, and changing them only with [`Mode::ReadWrite`], which takes what the scripts call, too.
///
/// `version` is the server's, major and minor: an ACL line that names a subcommand the server does not have is refused
/// as a whole, so there is one line for each version. `None` before Redis 6, which has no users.
pub fn acl_rule(version: (u16, u16), keys: &[&str], mode: Mode) -> Option<String> {
    if version < (6, 0) {
        return None;
    }
    let mut words = vec!["resetkeys".to_owned()];
    if version >= (6, 2) {
        words.push("resetchannels".to_owned());
    }
    // Permissions to read a key but not to change it came with Redis 7.
    let prefix = if version >= (7, 0) && mode == Mode::ReadOnly { "%R~" } else { "~" };
    words.extend(keys.iter().map(|pattern| format!("{prefix}{pattern}")));
    if version >= (6, 2) && mode == Mode::ReadWrite {
        // Bull's workers are told of new jobs on channels named like its keys.
        words.extend(keys.iter().map(|pattern| format!("&{pattern}")));
    }
    words.push("-@all".to_owned());
    words.extend(allowed(version, mode).map(|spec| format!("+{}", spec.server_name())));
    if mode == Mode::ReadWrite {
        let scripted = SCRIPTED.iter().filter(|(_, since)| *since <= version);
        words.extend(scripted.map(|(name, _)| format!("+{}", name.to_ascii_lowercase())));
    }
    Some(words.join(" "))
}

fn allowed(version: (u16, u16), mode: Mode) -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.iter().filter(move |spec| {
        // Sentinels have users of their own.
        spec.since <= version && spec.name != "SENTINEL" && !(spec.changes() && mode == Mode::ReadOnly)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_each_version_gets_only_what_it_knows() {
        let old = acl_rule((6, 0), &["bull:*"], Mode::ReadOnly).unwrap();
        assert!(old.starts_with("resetkeys ~bull:* -@all +ping"), "{old}");
        assert!(!old.contains("zmscore") && !old.contains("no-evict"), "{old}");
        let seven = acl_rule((7, 0), &["bull:*", "arq:*"], Mode::ReadOnly).unwrap();
        assert!(seven.starts_with("resetkeys resetchannels %R~bull:* %R~arq:* -@all"), "{seven}");
        assert!(seven.contains(" +client|no-evict") && !seven.contains("no-touch"), "{seven}");
        let newest = acl_rule((8, 2), &["*"], Mode::ReadOnly).unwrap();
        assert!(newest.contains(" +client|no-touch"), "{newest}");
        assert!(!newest.contains("+eval") && !newest.contains("+lpush"), "{newest}");
        let writing = acl_rule((7, 2), &["*"], Mode::ReadWrite).unwrap();
        assert!(writing.contains(" ~* &* ") && writing.contains("+evalsha"), "{writing}");
        assert!(writing.ends_with("+zremrangebyscore") && !newest.contains("+linsert"), "{writing}");
        assert_eq!(acl_rule((5, 0), &["*"], Mode::ReadOnly), None);
    }
}
