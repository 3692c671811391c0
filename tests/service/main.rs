//! The program as a service: what it tells systemd, what it writes to the journal, and an exchange.
//!
//! `CHAT_ADAPTER_BIN` names another program to test than the one just built, such as a static one in an empty root.

mod exchange;
mod journal;
mod notifications;
mod notify_socket;
mod state;
mod watchdog;

#[path = "../standin/mod.rs"]
mod standin;

use std::ffi::OsString;

/// The program to be tested.
fn binary() -> OsString {
    std::env::var_os("CHAT_ADAPTER_BIN")
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_chat-adapter").into())
}

/// A command line of it, without arguments.
fn command() -> standin::Command {
    standin::Command::new(binary())
}
