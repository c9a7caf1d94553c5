//! Names and rules the configuration is checked against.

use crate::config::Known;
use crate::domain::described::Described;
use crate::link::{Address, safe_url};
use crate::systems;

/// Everything a configuration may name.
pub fn known() -> Known {
    let systems = systems::all(&Described::default());
    Known {
        systems: systems.iter().map(|system| system.spec().name).collect(),
        url: Some(check_url),
        ..Known::default()
    }
}

/// What is wrong with a URL, without repeating its secrets.
fn check_url(url: &str) -> Result<(), String> {
    Address::parse(url).map(drop).map_err(|error| format!("{}: {error}", safe_url(url)))
}
