//! What the server tells although nothing was asked: that a key has changed (`CLIENT TRACKING`). The multiplexer drops
//! such words, and tells of them only where it has logged in itself; so they are noticed where bytes come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// How such words begin.
const WORD: &[u8] = b"invalidate\r\n";
/// They are short, and come alone or beside short replies; longer pieces are not searched.
const LONGEST: usize = 1_024;

/// Counts such words on one connection; its end counts too. Copies count together. What looks like one counts as one, and
/// one that comes in two pieces is missed: it is a hint, not a promise.
#[derive(Clone, Debug, Default)]
pub struct News(Arc<(AtomicU64, Notify)>);

impl News {
    /// These bytes have come in; none: the end.
    pub(super) fn came(&self, bytes: &[u8]) {
        let word = bytes.len() <= LONGEST && bytes.windows(WORD.len()).any(|part| part == WORD);
        if word || bytes.is_empty() {
            self.note();
        }
    }

    fn note(&self) {
        self.0.0.fetch_add(1, Ordering::Release);
        self.0.1.notify_waiters();
    }

    /// How many have come.
    pub fn count(&self) -> u64 {
        self.0.0.load(Ordering::Acquire)
    }

    /// Waits until more have come than at that count.
    pub async fn after(&self, count: u64) {
        loop {
            let next = self.0.1.notified();
            if self.count() != count {
                return;
            }
            next.await;
        }
    }

    /// True if both are of the same connection.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_came_before_the_wait_is_noticed_too() {
        let news = News::default();
        news.came(b":7\r\n+OK\r\n");
        assert_eq!(news.count(), 0, "replies are none");
        news.came(b":7\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$9\r\narq:queue\r\n");
        assert_eq!(news.count(), 1);
        let count = news.count();
        news.note();
        news.after(count).await;
        let count = news.count();
        let other = news.clone();
        let waiting = tokio::spawn(async move { other.after(count).await });
        tokio::task::yield_now().await;
        news.note();
        waiting.await.expect("it was noticed");
        assert!(news.same(&news.clone()) && !news.same(&News::default()));
    }
}
