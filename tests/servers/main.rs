//! One room over many servers, whose Proxies are called (`--host`) or connect by themselves (`--listen`).

#[path = "../tls/files.rs"]
#[allow(dead_code, reason = "the files are those of another test binary")]
mod files;
#[path = "../service/notify_socket.rs"]
#[allow(dead_code, reason = "the socket is that of another test binary")]
mod notify_socket;
#[path = "../answers/setup.rs"]
#[allow(dead_code, reason = "the helpers are those of another test binary")]
mod setup;
#[path = "../standin/mod.rs"]
mod standin;

mod cluster;
mod crowd;
mod kept;
mod listening;
mod lost;
mod order;
mod replaced;
mod room;
mod stalled;
mod start;
mod state;
mod strangers;
mod watched;
