//! What the server tells although nothing was asked: that a key has changed (`CLIENT TRACKING`). The multiplexer drops
//! such words, and tells of them only where it has logged in itself; so they are noticed where bytes come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// How such words begin.
const WORD: &[u8] = b"invalidate\r\n";
/// They are short, and come alone or beside short replies; only the ends of longer pieces are searched.
const LONGEST: usize = 1_024;
/// Bytes of a piece with which a word may begin that ends in the next.
const END: usize = WORD.len() - 1;

/// Counts such words on one connection; its end counts too. Copies count together. What looks like one counts as one: it is
/// a hint, not a promise.
#[derive(Clone, Debug, Default)]
pub struct News(Arc<(AtomicU64, Notify)>);

/// Listens to what comes in, piece by piece.
#[derive(Default)]
pub(super) struct Ear {
    /// Where it is told.
    pub(super) news: News,
    end: Vec<u8>,
}

impl Ear {
    /// These bytes have come in; none: the end.
    pub(super) fn came(&mut self, bytes: &[u8]) {
        let spoken = |bytes: &[u8]| bytes.windows(WORD.len()).any(|part| part == WORD);
        self.end.extend_from_slice(&bytes[..bytes.len().min(END)]);
        if bytes.is_empty() || spoken(&self.end) || (bytes.len() <= LONGEST && spoken(bytes)) {
            self.news.note();
        }
        match bytes.len().checked_sub(END) {
            Some(last) => {
                self.end.clear();
                self.end.extend_from_slice(&bytes[last..]);
            }
            None => drop(self.end.drain(..self.end.len().saturating_sub(END))),
        }
    }
}

impl News {
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

    const SAID: &[u8] = b":7\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$9\r\narq:queue\r\n";

    #[test]
    fn a_word_is_heard_once_in_however_many_pieces_it_comes() {
        let long = [vec![b'x'; 2 * LONGEST], SAID.to_vec()].concat();
        for size in 1..=LONGEST {
            let mut ear = Ear::default();
            long.chunks(size).for_each(|piece| ear.came(piece));
            assert_eq!(ear.news.count(), 1, "in pieces of {size} bytes");
        }
        let mut ear = Ear::default();
        let (first, second) = SAID.split_at(15);
        [first, second, b"", first, second].into_iter().for_each(|piece| ear.came(piece));
        assert_eq!(ear.news.count(), 3, "the end of a connection counts");
    }

    #[tokio::test]
    async fn what_came_before_the_wait_is_noticed_too() {
        let mut ear = Ear::default();
        let news = ear.news.clone();
        ear.came(b":7\r\n+OK\r\n");
        assert_eq!(news.count(), 0, "replies are none");
        ear.came(SAID);
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
