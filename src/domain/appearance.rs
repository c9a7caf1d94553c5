//! Wishes about how the screen looks, as they come from the command line and the configuration.

use serde::{Deserialize, Serialize};

/// How many colours to use.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
pub enum ColourChoice {
    /// What the terminal says it can.
    #[default]
    #[serde(rename = "auto")]
    #[strum(serialize = "auto")]
    Auto,
    /// None: bold, dim, reversed only.
    #[serde(rename = "none")]
    #[strum(serialize = "none")]
    None,
    /// The terminal's own 16.
    #[serde(rename = "16")]
    #[strum(serialize = "16")]
    Ansi16,
    /// The fixed table of 256.
    #[serde(rename = "256")]
    #[strum(serialize = "256")]
    Ansi256,
    /// 24 bits.
    #[serde(rename = "true")]
    #[strum(serialize = "true")]
    True,
}

/// Which signs to draw with.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum GlyphChoice {
    /// What the locale allows.
    #[default]
    Auto,
    /// Unicode signs.
    Unicode,
    /// Printable ASCII only.
    Ascii,
}
