//! Splitting a keyspace scan into parts that can be asked for at the same time.
//!
//! Redis and Valkey walk a hash table of 2^n buckets in the order of the *bit-reversed* bucket number, so that a table
//! that grows or shrinks between two calls still shows every key (`dictScan` in Redis' dict.c, `hashtableScan` in
//! Valkey's hashtable.c). Seen from the reversed side a cursor only ever grows. A part is therefore an interval of
//! reversed cursors; with 2^k parts, part j holds exactly the keys whose hash has certain low k bits, whatever the
//! size of the table. Over a slow link all parts are asked at once instead of waiting for one cursor after the other.

/// An interval of reversed cursors. `from` is where the next call begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    start: u64,
    at: u64,
    /// First reversed cursor behind the part; `None`: the part goes on to the end of the keyspace.
    end: Option<u64>,
}

impl Part {
    /// The whole keyspace; right for every server that knows SCAN, whatever its cursors mean.
    pub fn whole() -> Self {
        Self { start: 0, at: 0, end: None }
    }

    /// The keyspace in 2^`bits` parts, at most 2^10. Only for servers with reverse-binary cursors.
    pub fn split(bits: u32) -> Vec<Self> {
        let bits = bits.min(10);
        if bits == 0 {
            return vec![Self::whole()];
        }
        let parts = 1_u64 << bits;
        let start = |index: u64| index << (64 - bits);
        (0..parts)
            .map(|index| Self {
                start: start(index),
                at: start(index),
                end: (index + 1 < parts).then(|| start(index + 1)),
            })
            .collect()
    }

    /// The cursor to send.
    pub fn cursor(&self) -> u64 {
        self.at.reverse_bits()
    }

    /// Takes the cursor of a reply; true if the part is done.
    pub fn advance(&mut self, cursor: u64) -> bool {
        if cursor == 0 {
            return true;
        }
        let reversed = cursor.reverse_bits();
        // A whole keyspace accepts any cursor: other products number their buckets as they like.
        if self.start == 0 && self.end.is_none() {
            self.at = reversed;
            return false;
        }
        let done = reversed <= self.at || self.end.is_some_and(|end| reversed >= end);
        self.at = reversed;
        done
    }

    /// How much of the part is done, 0 to 1; a guess for products with other cursors.
    pub fn share(&self) -> f64 {
        let width = self.end.unwrap_or(u64::MAX) - self.start;
        (self.at.saturating_sub(self.start) as f64 / width as f64).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order in which a table of 2^bits buckets is walked, after `dictScan`.
    fn next_cursor(cursor: u64, bits: u32) -> u64 {
        let mask = (1_u64 << bits) - 1;
        (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
    }

    #[test]
    fn parts_together_visit_every_bucket_once() {
        for (table, split) in [(10, 4), (6, 6), (12, 0), (4, 1)] {
            let mut seen = vec![0; 1 << table];
            for mut part in Part::split(split) {
                loop {
                    let cursor = part.cursor();
                    seen[(cursor & ((1 << table) - 1)) as usize] += 1;
                    if part.advance(next_cursor(cursor, table)) {
                        break;
                    }
                }
            }
            assert!(seen.iter().all(|visits| *visits == 1), "table of 2^{table}, 2^{split} parts");
        }
    }

    #[test]
    fn a_table_smaller_than_the_number_of_parts_is_still_covered() {
        let mut seen = [0; 4];
        for mut part in Part::split(4) {
            loop {
                let cursor = part.cursor();
                seen[(cursor & 3) as usize] += 1;
                if part.advance(next_cursor(cursor, 2)) {
                    break;
                }
            }
        }
        assert!(seen.iter().all(|visits| *visits >= 1));
    }

    #[test]
    fn a_table_that_grows_between_two_calls_loses_nothing() {
        // Keys are hashes; a key is in bucket hash & mask. The table grows from 2^6 to 2^9 and shrinks to 2^7.
        let hashes: Vec<u64> = (0..2000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7).collect();
        let mut found = std::collections::HashSet::new();
        let mut calls = 0;
        for mut part in Part::split(3) {
            loop {
                let bits = match calls % 7 {
                    0..=2 => 6,
                    3..=4 => 9,
                    _ => 7,
                };
                let mask = (1_u64 << bits) - 1;
                let cursor = part.cursor();
                found.extend(hashes.iter().copied().filter(|hash| hash & mask == cursor & mask));
                calls += 1;
                if part.advance(next_cursor(cursor, bits)) {
                    break;
                }
            }
        }
        assert_eq!(found.len(), hashes.iter().collect::<std::collections::HashSet<_>>().len());
    }

    #[test]
    fn foreign_cursors_are_followed_until_zero() {
        let mut part = Part::whole();
        for cursor in [77, 12, u64::MAX, 5] {
            assert!(!part.advance(cursor));
            assert_eq!(part.cursor(), cursor);
        }
        assert!(part.advance(0));
    }
}
