//! A disk without room: the chat goes on, and nothing half true is found by the next run.

use crate::standin::Command as Shell;
use crate::{LOST, Scene, end, say, session, wait_until};
use std::process::Command;

/// Bounds the size of the files that the process may write from now on.
fn limit(pid: u32, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let status = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &limit])
        .status();
    assert!(status.expect("prlimit").success());
}

#[test]
fn a_journal_without_room_is_discarded_and_written_anew_when_there_is_some() {
    let scene = Scene::new();
    let adapter = scene.start();
    let (mut metadata, mut data) = scene.meet();
    metadata.open(&session("S0"));
    wait_until("on the disk", || scene.journal().contains("S0"));
    limit(adapter.id(), "4096");
    for n in 1..100 {
        metadata.open(&session(&format!("S{n}")));
    }
    let words = ["warn", "sessions cannot be written", "File too large"];
    adapter.wait_for_log(&words);
    assert_eq!(say(&mut metadata, "S99"), Ok(()));
    data.chat();
    assert_eq!(scene.journal(), "");
    limit(adapter.id(), "unlimited");
    adapter.wait_for_log(&["sessions is written again: 100 sessions"]);
    metadata.close_session("S50");
    metadata.open(&session("S100"));
    drop(data);
    end(adapter);

    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    adapter.wait_for_log(&["the same server as before: 100 sessions kept"]);
    assert_eq!(say(&mut metadata, "S0"), Ok(()));
    assert_eq!(say(&mut metadata, "S50"), Err(LOST.into()));
    assert_eq!(say(&mut metadata, "S100"), Ok(()));
}

#[test]
fn an_end_while_there_is_no_room_leaves_nothing_half_true() {
    let scene = Scene::new();
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    metadata.open(&session("S0"));
    wait_until("on the disk", || scene.journal().contains("S0"));
    limit(adapter.id(), "100");
    metadata.close_session("S0");
    adapter.wait_for_log(&["warn", "sessions cannot be written"]);
    drop(adapter);
    let _adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    assert_eq!(say(&mut metadata, "S0"), Err(LOST.into()));
}

#[test]
fn a_start_on_a_full_disk_keeps_a_journal_that_is_whole() {
    let scene = Scene::new();
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    for n in 0..100 {
        metadata.open(&session(&format!("S{n}")));
    }
    end(adapter);
    // Less than the journal has: it can neither be written anew nor appended to.
    let script = "ulimit -f 8; exec \"$0\" \"$@\"";
    let limited = Shell::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_chat-adapter")]);
    let limited = limited.args(scene.server.arguments());
    let adapter = limited.args(["--state", &scene.path()]).start();
    adapter.wait_for_log(&["warn", "sessions cannot be written anew", "it is complete"]);
    let (mut metadata, _data) = scene.meet();
    assert_eq!(say(&mut metadata, "S99"), Ok(()));
    drop(adapter);
    let _adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    assert_eq!(say(&mut metadata, "S0"), Ok(()));
}

#[test]
fn an_end_writes_what_could_not_be_written_before() {
    let scene = Scene::new();
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    metadata.open(&session("S0"));
    wait_until("on the disk", || scene.journal().contains("S0"));
    limit(adapter.id(), "100");
    metadata.open(&session("S1"));
    adapter.wait_for_log(&["warn", "sessions cannot be written"]);
    limit(adapter.id(), "unlimited");
    end(adapter);
    let _adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    assert_eq!(say(&mut metadata, "S1"), Ok(()));
}
