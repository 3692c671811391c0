//! The form of the log: the journal's if `JOURNAL_STREAM` names the very stream, otherwise that of a pipe.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

/// Something that logs an error and ends.
const FAILING: [&str; 3] = ["--tls", "--tls-ca", "missing.pem"];

/// A pipe, and its name in `JOURNAL_STREAM`.
fn stream() -> (PipeReader, PipeWriter, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let copy = OwnedFd::from(writer.try_clone().expect("a copy"));
    let metadata = File::from(copy).metadata().expect("its inode");
    let name = format!("{}:{}", metadata.dev(), metadata.ino());
    (reader, writer, name)
}

/// An adapter that logs to this pipe under such a name.
fn start(arguments: &[&str], writer: PipeWriter, name: &str) -> Child {
    // The command holds the writing end, so it must be gone before the pipe can end.
    Command::new(crate::binary())
        .args(arguments)
        .env("JOURNAL_STREAM", name)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stderr(writer)
        .spawn()
        .expect("the adapter")
}

/// What is logged to this pipe under such a name.
fn logged(arguments: &[&str], mut reader: PipeReader, writer: PipeWriter, name: &str) -> String {
    let mut child = start(arguments, writer, name);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("a log in UTF-8");
    assert_eq!(child.wait().expect("its status").code(), Some(1), "{text}");
    text
}

#[test]
fn the_journal_gets_levels_and_no_time() {
    let (reader, writer, name) = stream();
    let text = logged(&FAILING, reader, writer, &name);
    let (first, last) = text.split_once('\n').expect("two lines");
    assert!(first.starts_with("<6>chat-adapter "), "{text}");
    assert!(last.starts_with("<3>cannot start: TLS: "), "{text}");
    assert_eq!(last.lines().count(), 1, "{text}");
}

#[test]
fn another_stream_gets_time_and_no_colour() {
    let (_other_reader, _other_writer, other) = stream();
    for name in [other.as_str(), "", "0:0", "nonsense"] {
        let (reader, writer, _) = stream();
        let text = logged(&FAILING, reader, writer, name);
        assert_eq!(text.lines().count(), 2, "{text}");
        for (line, start) in text.lines().zip(["INFO  ", "ERROR cannot start: TLS: "]) {
            let (time, rest) = line.split_once(' ').expect("words");
            assert!(time.len() == 24 && time.ends_with('Z'), "{text}");
            assert!(rest.starts_with(start), "{text}");
        }
        assert!(!text.contains(['<', '\u{1b}']), "{text}");
    }
}

#[test]
fn each_level_has_its_number() {
    let (mut reader, writer, name) = stream();
    let ports = ["--metadata_rrport", "1", "--data_rrport", "2"];
    let rest = ["--user", "u", "--password", "p", "--log", "debug"];
    let arguments = [&["--host", "127.0.0.1"][..], &ports, &rest].concat();
    let mut child = start(&arguments, writer, &name);
    let (mut text, mut chunk) = (String::new(), [0; 4096]);
    // Port 1 refuses; what repeats is said at debug.
    while !text.contains("<7>") {
        let length = reader.read(&mut chunk).expect("a log");
        assert!(length > 0, "the log ends: {text}");
        text.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
    child.kill().expect("a child to kill");
    child.wait().expect("its status");
    assert!(
        text.contains("<4>the password stands on the command line"),
        "{text}"
    );
    assert!(
        text.contains("<6>metadata 127.0.0.1:1: connecting\n"),
        "{text}"
    );
    for line in text.lines() {
        assert!(
            line.starts_with('<') && line[2..].starts_with('>'),
            "{line}"
        );
    }
}
