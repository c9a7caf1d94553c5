//! The configuration from outside: files good and bad, precedence, permissions, reloading.

#[path = "config/codes.rs"]
mod codes;
#[path = "config/corpus.rs"]
mod corpus;
#[path = "config/keys.rs"]
mod keys;
#[path = "config/loading.rs"]
mod loading;
#[path = "config/watching.rs"]
mod watching;
