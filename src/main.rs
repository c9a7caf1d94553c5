//! The binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(qtop::cli::run(std::env::args_os().collect()))
}
