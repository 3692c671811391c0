//! What the adapter does when things go wrong around it, and when it is told to end.

#[path = "../tls/files.rs"]
#[allow(dead_code, reason = "the files are those of another test binary")]
mod files;
#[path = "../it/stage.rs"]
#[allow(dead_code, reason = "the phrases are those of another test binary")]
mod stage;
#[path = "../standin/mod.rs"]
mod standin;

mod deaf;
mod leaks;
mod long_lines;
mod loops;
mod signals;
mod slow;
mod vanished;
