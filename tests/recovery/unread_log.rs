//! A log that is not read holds nothing up, and one that is read is whole.

use crate::setup::SESSION;
use crate::standin::{Server, Session};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Kills the child when a test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only for a child that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Killed {
    fn terminate(&self) {
        let kill = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(kill.expect("the kill command").success());
    }
}

/// An adapter that has much to log, and nobody who reads it.
fn unread(server: &Server) -> Killed {
    tracing(server, Stdio::piped())
}

/// An adapter that has much to log.
fn tracing(server: &Server, log: Stdio) -> Killed {
    let child = Command::new(env!("CARGO_BIN_EXE_chat-adapter"))
        .args(server.arguments())
        .args(["--log", "trace"])
        .stdin(Stdio::null())
        .stderr(log)
        .spawn();
    Killed(child.expect("the adapter"))
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let server = Server::start();
    let mut child = unread(&server);
    let (mut metadata, mut data) = server.meet();
    metadata.open(&Session::new(SESSION, "192.0.2.7", "Browser"));
    data.subscribe("chat_room");
    // Several times what a pipe takes.
    let long = "x".repeat(2000);
    for n in 0..200 {
        let text = format!("{n} {long}");
        metadata.say(SESSION, &text).expect("success");
        assert_eq!(data.chat().message, text);
    }
    // Read again, the log goes on, and says what is missing. It is more than a pipe holds, so that
    // there is room in the adapter's own buffer, too.
    let mut log = child.0.stderr.take().expect("a pipe");
    log.read_exact(&mut vec![0; 128 << 10]).expect("a log");
    metadata.say(SESSION, "again").expect("success");
    child.terminate();
    let mut rest = String::new();
    log.read_to_string(&mut rest).expect("the rest of the log");
    assert!(
        rest.contains("lines are missing here: the log was not read"),
        "{rest}"
    );
    assert!(rest.contains("CHAT%7Cagain"), "{rest}");
    assert_eq!(child.0.wait().expect("its status").code(), Some(0));
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_up_the_end() {
    let server = Server::start();
    let mut child = unread(&server);
    let (mut metadata, _data) = server.meet();
    for _ in 0..200 {
        metadata.send_say("no such session", &"x".repeat(2000));
    }
    child.terminate();
    assert_eq!(child.0.wait().expect("its status").code(), Some(0));
}

#[test]
fn a_log_in_a_file_is_whole() {
    let name = format!("whole-{}.log", std::process::id());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let server = Server::start();
    let log = File::create(&file).expect("a file");
    let mut child = tracing(&server, log.into());
    let (mut metadata, mut data) = server.meet();
    metadata.open(&Session::new(SESSION, "192.0.2.7", "Browser"));
    data.subscribe("chat_room");
    let long = "x".repeat(500);
    for n in 0..2000 {
        metadata.send_say(SESSION, &format!("{n}+{long}"));
    }
    for _ in 0..2000 {
        data.chat();
    }
    child.terminate();
    assert_eq!(child.0.wait().expect("its status").code(), Some(0));
    let log = fs::read_to_string(&file).expect("a log");
    fs::remove_file(&file).expect("a file to remove");
    assert!(!log.contains("lines are missing"), "{log}");
    for n in 0..2000 {
        assert!(log.contains(&format!("CHAT%7C{n}%2B{long}")), "{n}");
    }
    assert!(log.trim_end().ends_with("ended"), "{log}");
}
