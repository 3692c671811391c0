//! A log for which there is no room costs its lines, and not the chat.

use crate::setup::SESSION;
use crate::standin::{Adapter, Command, DEADLINE, DataProxy, MetadataProxy, Server, Session};
use std::fs::{self, File};
use std::path::Path;
use std::time::Instant;

/// An adapter that has much to log, started by this line of a shell.
fn start(server: &Server, script: &str, log: &Path) -> Adapter {
    Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_chat-adapter")])
        .args(server.arguments())
        .args(["--log", "trace"])
        .env("LOG", log)
        .start()
}

fn enter(server: &Server) -> (MetadataProxy, DataProxy) {
    let (mut metadata, mut data) = server.meet();
    metadata.open(&Session::new(SESSION, "192.0.2.7", "Browser"));
    data.subscribe("chat_room");
    (metadata, data)
}

fn talk(metadata: &mut MetadataProxy, data: &mut DataProxy) {
    let text = "x".repeat(500);
    metadata.say(SESSION, &text).expect("success");
    assert_eq!(data.chat().message, text);
}

#[test]
fn a_log_at_its_size_limit_loses_lines_and_then_goes_on() {
    let name = format!("limited-{}.log", std::process::id());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let server = Server::start();
    // 8 KiB or 16, as the shell has it.
    let script = "ulimit -f 16; exec \"$0\" \"$@\" 2>>\"$LOG\"";
    let adapter = start(&server, script, &file);
    let (mut metadata, mut data) = enter(&server);
    // Much more than that, and many more lines than wait to be written.
    for _ in 0..200 {
        talk(&mut metadata, &mut data);
    }
    let log = File::options().write(true).open(&file).expect("a log");
    log.set_len(0).expect("room");
    let start = Instant::now();
    let log = loop {
        talk(&mut metadata, &mut data);
        let log = fs::read_to_string(&file).expect("a log");
        let note = log.find("lines are missing here: the log could not be written: File too large");
        if note.is_some_and(|at| log[at..].contains('\n')) {
            break log;
        }
        assert!(start.elapsed() < DEADLINE, "{log}");
    };
    let note = log.lines().find(|line| line.contains("are missing"));
    let (count, _) = note.and_then(|line| line.split_once(' ')).expect("a note");
    assert!(count.parse::<u64>().is_ok_and(|count| count > 100), "{log}");
    adapter.signal("TERM");
    assert_eq!(adapter.wait().code(), 0);
    fs::remove_file(&file).expect("a file to remove");
}

#[test]
fn a_log_on_a_full_device_keeps_nobody_from_talking() {
    let server = Server::start();
    let adapter = start(
        &server,
        "exec \"$0\" \"$@\" 2>\"$LOG\"",
        Path::new("/dev/full"),
    );
    let (mut metadata, mut data) = enter(&server);
    talk(&mut metadata, &mut data);
    adapter.signal("USR1");
    talk(&mut metadata, &mut data);
    adapter.signal("TERM");
    assert_eq!(adapter.wait().code(), 0);
}
