//! An exchange, which must work wherever the program runs: in an empty root, too.

use crate::command;
use crate::standin::{Listener, Server, Session};

fn exchange(server: &Server, host: &str) {
    let mut arguments = server.arguments();
    arguments[1] = host.to_owned();
    let adapter = command().args(arguments).start();
    let (mut metadata, mut data) = server.meet();
    metadata.open(&Session::new("S1", "192.0.2.7", "Browser"));
    data.subscribe("chat_room");
    for text in ["hello", "a|pipe", "h\u{e9}llo \u{1f600}"] {
        metadata.say("S1", text).expect("success");
        let chat = data.chat();
        assert_eq!(chat.message, text);
        assert_eq!(chat.ip, "192.0.2.7");
    }
    adapter.signal("TERM");
    assert_eq!(adapter.wait().code(), 0);
}

#[test]
fn by_address() {
    exchange(&Server::start(), "127.0.0.1");
}

#[test]
fn by_the_name_localhost() {
    let server = Server {
        metadata: Listener::bind_localhost("metadata"),
        data: Listener::bind_localhost("data"),
    };
    exchange(&server, "localhost");
}

#[test]
fn without_a_store_the_built_in_roots_count() {
    let server = Server::start();
    let adapter = command()
        .args(server.arguments())
        .arg("--tls")
        .env("SSL_CERT_FILE", "missing.pem")
        .start();
    adapter.wait_for_log(&["metadata", "built-in roots, since"]);
}

#[test]
fn the_version() {
    let exit = command().arg("--version").run();
    assert_eq!(
        exit.stdout,
        format!("chat-adapter {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(exit.code(), 0);
}
