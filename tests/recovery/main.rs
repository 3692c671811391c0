//! What the adapter does when things go wrong around it, and when it is told to end.

#[path = "../tls/files.rs"]
#[allow(dead_code, reason = "the files are those of another test binary")]
mod files;
#[path = "../answers/setup.rs"]
#[allow(dead_code, reason = "the helpers are those of another test binary")]
mod setup;
#[path = "../standin/mod.rs"]
mod standin;

mod addresses;
mod full_log;
mod leaks;
mod long_lines;
mod loops;
mod other_services;
mod signals;

mod slow_reader;
mod undiagnosed;
mod unread_log;
mod vanished;
