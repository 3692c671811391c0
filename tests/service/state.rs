//! The sessions in the directory that systemd gives.

use crate::command;
use crate::standin::{Server, Session};
use std::fs;

#[test]
fn sessions_outlive_the_service() {
    let name = format!("chat-adapter-state-{}", std::process::id());
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).expect("a directory");
    let server = Server::start();
    let start = || {
        let command = command().args(server.arguments());
        command.env("STATE_DIRECTORY", &directory).start()
    };
    let adapter = start();
    let (mut metadata, mut data) = server.meet();
    data.subscribe("chat_room");
    metadata.open(&Session::new("S1", "192.0.2.7", "Browser"));
    adapter.signal("TERM");
    assert_eq!(adapter.wait().code(), 0);

    // What was kept is written anew in the meantime.
    let adapter = start();
    let (mut metadata, mut data) = server.meet();
    data.subscribe("chat_room");
    metadata.say("S1", "still here").expect("success");
    adapter.signal("TERM");
    assert_eq!(adapter.wait().code(), 0);
    fs::remove_dir_all(&directory).expect("the directory");
}
