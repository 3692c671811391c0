//! The [playground]. It is a library, so that Cargo begins to build it while it still builds the adapter.

use std::process::ExitCode;

fn main() -> ExitCode {
    playground::main()
}
