//! What the adapter does when things go wrong around it, and when it is told to end.

#[path = "../it/stage.rs"]
#[allow(dead_code, reason = "the phrases are those of another test binary")]
mod stage;
#[path = "../standin/mod.rs"]
mod standin;

mod leaks;
mod long_lines;
mod loops;
mod signals;
mod slow;
mod unread_log;
mod vanished;
