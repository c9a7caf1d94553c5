//! Small pieces that several screens are made of. They know no screen, no state and no queue system.

pub mod badge;
pub mod bar;
pub mod empty;
pub mod footer;
pub mod lines;
pub mod spark;
pub mod table;
pub mod tree;
