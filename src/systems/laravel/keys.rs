//! Names of Laravel's keys: REDIS_PREFIX, `queues:`, the queue's name and a suffix.

use crate::domain::ids::{Name, QueueId};

use super::NAME;

/// What stands between the application's prefix and the queue's name.
const MIDDLE: &[u8] = b"queues:";

/// Keys of one queue beside its list.
const SUFFIXES: [&[u8]; 3] = [b":delayed", b":reserved", b":notify"];

/// The keys of one queue.
pub struct Keys {
    /// List of payloads that are ready; index 0 runs next.
    pub list: Vec<u8>,
    /// Payloads with the unix second at which each becomes ready.
    pub delayed: Vec<u8>,
    /// Payloads being worked on, with the unix second at which each reservation ends.
    pub reserved: Vec<u8>,
    /// Tokens that wake workers which block. Their number means nothing.
    pub notify: Vec<u8>,
}

impl Keys {
    /// Of a queue.
    pub fn of(queue: &QueueId) -> Self {
        let list = [queue.instance.name.as_bytes(), MIDDLE, queue.name.as_bytes()].concat();
        let with = |suffix: &[u8]| [list.as_slice(), suffix].concat();
        Self { delayed: with(SUFFIXES[0]), reserved: with(SUFFIXES[1]), notify: with(SUFFIXES[2]), list }
    }
}

/// The queue a key may belong to. A queue may itself be called `x:delayed`; then the plain queue `x` is met first, and
/// reading it shows what it is.
pub fn queue_of(key: &[u8]) -> Option<QueueId> {
    let at = key.windows(MIDDLE.len()).rposition(|window| window == MIDDLE)?;
    // `my_jobqueues:x` is some other word.
    if at > 0 && key[at - 1].is_ascii_alphanumeric() {
        return None;
    }
    let rest = &key[at + MIDDLE.len()..];
    let name = SUFFIXES.iter().find_map(|suffix| rest.strip_suffix(*suffix)).unwrap_or(rest);
    (!name.is_empty()).then(|| QueueId::new(NAME, Name::from(&key[..at]), Name::from(name)))
}

/// The word that the usual prefixes are made of: `shop` in `shop_database_`.
fn slug(prefix: &[u8]) -> Option<(&str, char)> {
    let text = std::str::from_utf8(prefix).ok()?;
    let cut = |end: &str, sign| text.strip_suffix(end).filter(|slug| !slug.is_empty()).map(|slug| (slug, sign));
    cut("_database_", '_').or_else(|| cut("-database-", '-'))
}

/// Prefixes that cache keys of an application usually have, the Redis prefix included.
pub fn cache_prefixes(prefix: &[u8]) -> Vec<Vec<u8>> {
    let (slug, sign) = slug(prefix).unwrap_or(("laravel", '_'));
    let under = slug.replace('-', "_");
    let usual = [format!("{under}_cache:"), format!("{under}_cache_"), format!("{slug}{sign}cache{sign}")];
    let mut found: Vec<Vec<u8>> = Vec::new();
    for cache in usual {
        let key = [prefix, cache.as_bytes()].concat();
        if !found.contains(&key) {
            found.push(key);
        }
    }
    found
}

/// Prefixes that Horizon usually has beside an application's prefix.
pub fn horizon_prefixes(prefix: &[u8]) -> Vec<Vec<u8>> {
    let (slug, _) = slug(prefix).unwrap_or(("laravel", '_'));
    let mut found = vec![format!("{}_horizon:", slug.replace('-', "_")).into_bytes()];
    for other in [format!("{slug}-horizon:"), "horizon:".to_owned()] {
        found.push(other.into_bytes());
    }
    found
}

/// Prefixes that the application usually has whose Horizon has this one.
pub fn application_prefixes(horizon: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(horizon);
    let word = |end: &str| text.strip_suffix(end).filter(|word| !word.is_empty()).map(str::to_owned);
    let word = match word("_horizon:").or_else(|| word("-horizon:")) {
        Some(word) => word,
        None if horizon == b"horizon:" => "laravel".to_owned(),
        None => return Vec::new(),
    };
    let hyphens = word.replace('_', "-");
    let mut found = vec![format!("{word}_database_"), format!("{word}-database-"), format!("{hyphens}-database-")];
    found.dedup();
    found.into_iter().map(String::into_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart_from_others() {
        let queue = |key: &str| queue_of(key.as_bytes()).map(|id| (id.instance.name.to_text(), id.name.to_text()));
        let named = |prefix: &str, name: &str| Some((prefix.to_owned(), name.to_owned()));
        assert_eq!(queue("queues:default"), named("", "default"));
        assert_eq!(queue("laravel_database_queues:mail:delayed"), named("laravel_database_", "mail"));
        assert_eq!(queue("shop-database-queues:{default}:notify"), named("shop-database-", "{default}"));
        assert_eq!(queue("my_queues:queues:x"), named("my_queues:", "x"));
        assert_eq!(queue("laravel_database_queues:"), None);
        assert_eq!(queue("jobqueues:x"), None);
        let odd = queue_of(b"\xff_queues:a\nb:reserved").expect("any bytes");
        assert_eq!((odd.instance.name.as_bytes(), odd.name.as_bytes()), (&b"\xff_"[..], &b"a\nb"[..]));
        let keys = Keys::of(&odd);
        assert_eq!(keys.reserved, b"\xff_queues:a\nb:reserved");
    }

    #[test]
    fn an_application_is_named_like_its_horizon() {
        let text = |horizon: &str| -> Vec<String> {
            let found = application_prefixes(horizon.as_bytes());
            found.iter().map(|prefix| String::from_utf8_lossy(prefix).into_owned()).collect()
        };
        assert_eq!(text("shop_horizon:"), ["shop_database_", "shop-database-"]);
        assert_eq!(text("my_shop_horizon:"), ["my_shop_database_", "my_shop-database-", "my-shop-database-"]);
        assert_eq!(text("horizon:"), ["laravel_database_", "laravel-database-"]);
        assert!(text("desk:").is_empty());
        for prefix in ["shop_database_", "shop-database-", "my-shop-database-"] {
            let horizon = &horizon_prefixes(prefix.as_bytes())[0];
            assert!(application_prefixes(horizon).iter().any(|own| own == prefix.as_bytes()), "{prefix}");
        }
    }

    #[test]
    fn cache_prefixes_follow_the_application_s_name() {
        let text = |prefix: &str| {
            cache_prefixes(prefix.as_bytes()).iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
        };
        let old: Vec<String> = text("shop_database_");
        assert_eq!(old, ["shop_database_shop_cache:", "shop_database_shop_cache_"]);
        let new: Vec<String> = text("my-shop-database-");
        assert_eq!(
            new,
            ["my-shop-database-my_shop_cache:", "my-shop-database-my_shop_cache_", "my-shop-database-my-shop-cache-"]
        );
    }
}
