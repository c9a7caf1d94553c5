//! A payload, option set or result of the opened job, parsed once when it arrives and not for every frame.

use crate::domain::job::{Blob, Job};
use crate::domain::payload::{Folds, Limits, Payload};

/// A parsed payload with its folds.
#[derive(Clone, Debug)]
pub struct Document {
    /// The bytes it was made of; equal bytes are not parsed again.
    pub source: Blob,
    /// The values, or the bytes if they are none.
    pub payload: Payload,
    /// Which containers are open.
    pub folds: Folds,
    /// Numbers of the values that have a line, in order.
    pub visible: Vec<usize>,
}

impl Document {
    fn read(source: &Blob) -> Self {
        let payload = Payload::read(source, &Limits::default());
        let mut document = Self { source: source.clone(), payload, folds: Folds::default(), visible: Vec::new() };
        document.unfolded();
        document
    }

    /// Takes the same payload read again. What was folded stays so as long as the beginning is the same.
    fn reread(&mut self, source: &Blob) {
        if self.source == *source {
            return;
        }
        let grown = source.bytes.starts_with(&self.source.bytes);
        let folds = std::mem::take(&mut self.folds);
        *self = Self::read(source);
        if grown {
            self.folds = folds;
            self.unfolded();
        }
    }

    /// Opens or closes the container of a line; false if there is nothing to fold.
    pub fn fold(&mut self, line: usize, open: Option<bool>) -> bool {
        let Some((tree, index)) = self.payload.tree.as_ref().zip(self.visible.get(line).copied()) else { return false };
        let Some(node) = tree.node(index).filter(|node| node.is_container() && node.child_count() > 0) else {
            return false;
        };
        match open {
            Some(open) => self.folds.set_open(node, open),
            None => self.folds.toggle(index),
        }
        self.unfolded();
        true
    }

    fn unfolded(&mut self) {
        self.visible = self.payload.tree.as_ref().map(|tree| tree.visible(&self.folds)).unwrap_or_default();
    }
}

/// The documents of one job.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// The payload.
    pub payload: Option<Document>,
    /// The options.
    pub options: Option<Document>,
    /// The result.
    pub result: Option<Document>,
}

impl Documents {
    /// Takes what was read of the job now.
    pub fn update(&mut self, job: &Job) {
        renew(&mut self.payload, Some(&job.payload));
        renew(&mut self.options, job.options.as_ref());
        renew(&mut self.result, job.result.as_ref());
    }
}

fn renew(document: &mut Option<Document>, source: Option<&Blob>) {
    match (document.as_mut(), source) {
        (_, None) => *document = None,
        (Some(known), Some(source)) => known.reread(source),
        (None, Some(source)) => *document = Some(Document::read(source)),
    }
}
