//! What the runner runs: commands, long-lived processes and deliveries, with jobs that behave badly.

mod handlers {
    pub mod bench;
    pub mod command;
    pub mod examples;
    pub mod http;
    pub mod poison;
    pub mod process;
    pub mod protocol;
    pub mod service;
}
