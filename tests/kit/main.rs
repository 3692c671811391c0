//! The adapter kit as somebody sees it who writes an adapter with it: providers of these tests' own
//! against a Proxy in memory, and the examples over real sockets. Nothing here needs the program.

#[path = "../standin/mod.rs"]
mod standin;

#[path = "../examples/hello_world.rs"]
#[allow(dead_code, reason = "its `main` is not called here")]
mod hello_world;
#[path = "../examples/login.rs"]
#[allow(dead_code, reason = "its `main` is not called here")]
mod login;

mod defaults;
mod errors;
mod examples;
mod feed;
mod panics;
mod proxy;
mod requests;
mod servers;
mod subscriptions;
mod threads;
mod unsent;
