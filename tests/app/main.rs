//! The real loop over a fake terminal and fake tasks: keys go in, effects and frames come out.

mod asking;
mod changes;
mod desk;
mod queue_screen;
mod readme;
mod screens;
