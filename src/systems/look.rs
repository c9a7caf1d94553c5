//! How often a tick may look at something whose size only the answer tells.

/// Bytes that such looks may move in a tick on average: something of a megabyte is looked at every 64 ticks.
const BYTES_EACH_TICK: u64 = 16 * 1024;

/// When something may be read again: each tick if it is small, less often if it is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// How large it is expected to be, in bytes; `None` before that was asked.
    pub expected: Option<u64>,
    next_tick: u64,
}

impl Look {
    /// True if it may be read in this tick.
    pub fn is_due(&self, tick: u64) -> bool {
        self.expected.is_some() && tick >= self.next_tick
    }

    /// Learns how large it is, from a sample of the server's, and puts off the first look at something huge.
    pub fn expect(&mut self, bytes: u64, tick: u64) {
        self.expected = Some(bytes);
        self.next_tick = tick + 1 + bytes / (8 * BYTES_EACH_TICK);
    }

    /// Notes that so many bytes were read.
    pub fn was_read(&mut self, bytes: u64, tick: u64) {
        self.next_tick = tick + 1 + bytes / BYTES_EACH_TICK;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p4_what_is_large_is_looked_at_seldom() {
        let mut look = Look::default();
        assert!(!look.is_due(1), "its size is asked first");
        look.expect(100, 1);
        assert!(look.is_due(2));
        look.was_read(100, 2);
        assert!(look.is_due(3));
        look.was_read(1 << 20, 3);
        assert!(!look.is_due(67) && look.is_due(68));
    }
}
