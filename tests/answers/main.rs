//! The adapter as its users and a Proxy see it: the real binary over real sockets, against the
//! stand-in server. Each module is one theme; each test says in its name what holds.

#[path = "../standin/mod.rs"]
mod standin;

mod adapters_xml;
mod awkward_texts;
mod check;
mod closing;
mod command_line;
mod connections;
mod data;
mod downgraded;
mod framing;
mod handshake;
mod keepalive;
mod labels;
mod log_reference;
mod logs;
mod malformed;
mod messages;
mod metadata;
mod papers;
mod setup;
mod stalls;
mod versions;
