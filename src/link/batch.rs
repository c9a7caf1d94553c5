//! A batch collects commands of many writers; their replies are given back to exactly those who asked.

use std::ops::Range;

use redis::{Cmd, Value};

use super::error::CommandError;

/// Commands that go out as one pipeline.
#[derive(Default)]
pub struct Batch {
    commands: Vec<Cmd>,
}

/// The part of a batch that one writer wrote. Its replies are [`Replies::section`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section(Range<usize>);

impl Section {
    /// Number of commands in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if its writer asked nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one command.
    pub fn ask(&mut self, command: Cmd) -> &mut Self {
        self.commands.push(command);
        self
    }

    /// Lets `write` add commands and remembers which they were.
    pub fn section(&mut self, write: impl FnOnce(&mut Batch)) -> Section {
        let start = self.commands.len();
        write(self);
        Section(start..self.commands.len())
    }

    /// Number of commands.
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// True if there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The commands in order.
    pub fn commands(&self) -> &[Cmd] {
        &self.commands
    }
}

/// One reply: a value, or the server's refusal of that one command.
pub type Reply = Result<Value, CommandError>;

/// Replies in the order of their commands, read one after the other.
#[derive(Clone, Debug)]
pub struct Replies<'a> {
    rest: &'a [Reply],
}

impl<'a> Replies<'a> {
    /// Over all replies of a batch, or any run of them.
    pub fn new(replies: &'a [Reply]) -> Self {
        Self { rest: replies }
    }

    /// The replies of one section of a whole batch.
    pub fn section(all: &'a [Reply], section: &Section) -> Self {
        Self { rest: all.get(section.0.clone()).unwrap_or(&[]) }
    }

    /// The next reply. The error belongs to that one command.
    #[allow(clippy::should_implement_trait, reason = "not an iterator: reading past the end is an error, not an end")]
    pub fn next(&mut self) -> Result<&'a Value, CommandError> {
        let (first, rest) = self.rest.split_first().ok_or(CommandError::Missing)?;
        self.rest = rest;
        first.as_ref().map_err(Clone::clone)
    }

    /// Takes the next `count` replies as a run of their own, so that one broken queue cannot shift the others.
    pub fn take(&mut self, count: usize) -> Replies<'a> {
        let (first, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        Replies { rest: first }
    }

    /// How many are left. Not zero after reading is a bug of the adapter.
    pub fn left(&self) -> usize {
        self.rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_get_exactly_their_replies() {
        let mut batch = Batch::new();
        let a = batch.section(|b| {
            b.ask(redis::cmd("PING"));
        });
        let b = batch.section(|b| {
            b.ask(redis::cmd("TIME")).ask(redis::cmd("DBSIZE"));
        });
        let all: Vec<Reply> = (0..batch.len() as i64).map(|n| Ok(Value::Int(n))).collect();
        assert_eq!(Replies::section(&all, &a).next().ok(), Some(&Value::Int(0)));
        let mut replies = Replies::section(&all, &b);
        assert_eq!(replies.next().ok(), Some(&Value::Int(1)));
        assert_eq!(replies.left(), 1);
        assert_eq!(replies.next().ok(), Some(&Value::Int(2)));
        assert!(matches!(replies.next(), Err(CommandError::Missing)));
    }
}
