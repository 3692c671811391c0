//! Files that an adapter must not use: an error at the start, and nothing of them is changed.

use crate::{Scene, command, end, session, wait_until};
use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

#[track_caller]
fn refused(scene: &Scene, words: &str) {
    let command = command().args(scene.server.arguments());
    let exit = command.args(["--state", &scene.path()]).run();
    assert_eq!(exit.code(), 1, "{exit}");
    assert!(exit.stderr.contains("cannot start: --state "), "{exit}");
    assert!(exit.stderr.contains("/sessions"), "{exit}");
    assert!(exit.stderr.contains(words), "{exit}");
}

#[test]
fn a_file_of_another_program_is_left_as_it_is() {
    for content in [
        "[settings]\nstate = 1\n",
        "1|NNS|S|#|S|S1\n",
        "no line end",
        "\n",
    ] {
        let scene = Scene::new();
        scene.files.write("sessions", content);
        refused(&scene, "is no journal of sessions");
        assert_eq!(scene.journal(), content);
    }
}

#[test]
fn a_journal_of_a_later_version_is_left_as_it_is() {
    let scene = Scene::new();
    let line = "1|MPI|S|journal.version|S|2|S|more|S|x";
    let checksum = crc32fast::hash(line.as_bytes());
    let content = format!("{line}|{checksum:08x}\n");
    scene.files.write("sessions", &content);
    refused(&scene, "is a journal of version 2");
    assert_eq!(scene.journal(), content);
}

#[test]
fn a_directory_and_a_pipe_are_no_files() {
    let scene = Scene::new();
    fs::create_dir(scene.path()).expect("a directory");
    refused(&scene, "sessions is no regular file");
    fs::remove_dir(scene.path()).expect("it to be empty");
    let made = Command::new("mkfifo").arg(scene.path()).status();
    assert!(made.expect("mkfifo").success());
    refused(&scene, "sessions is no regular file");
    let littered = fs::exists(scene.files.path("sessions.lock"));
    assert!(
        !littered.expect("a directory"),
        "a lock where nothing is to be kept"
    );
}

#[test]
fn a_place_that_does_not_exist_is_named() {
    let scene = Scene::new();
    let path = scene.files.path("missing/sessions");
    let command = command().args(scene.server.arguments());
    let exit = command.args(["--state", &path]).run();
    assert_eq!(exit.code(), 1, "{exit}");
    assert!(exit.stderr.contains("missing/sessions"), "{exit}");
    assert!(exit.stderr.contains("No such file"), "{exit}");
}

#[test]
fn a_file_that_others_may_write_could_speak_for_anybody() {
    for mode in [0o620, 0o602] {
        let scene = Scene::new();
        scene.files.write("sessions", "");
        scene.files.set_mode("sessions", mode);
        refused(&scene, "can be written by others");
    }
}

#[test]
fn a_file_of_another_user_could_too() {
    let scene = Scene::new();
    scene.files.write("sessions", "");
    // Only root may give files away.
    if chown(scene.path(), Some(12345), None).is_ok() {
        refused(&scene, "belongs to another user");
    }
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let scene = Scene::new();
    scene.files.write("sessions", "");
    scene.files.set_mode("sessions", 0);
    // Root may read everything.
    if fs::read(scene.path()).is_err() {
        refused(&scene, "Permission denied");
    }
}

#[test]
fn a_second_adapter_on_the_same_file_does_not_start() {
    let scene = Scene::new();
    let adapter = scene.start();
    let (_metadata, _data) = scene.meet();
    refused(&scene, "another adapter uses it");
    end(adapter);
    let _adapter = scene.start();
    let (_metadata, _data) = scene.meet();
}

#[test]
fn a_check_says_what_a_start_would_and_takes_nothing() {
    let scene = Scene::new();
    let check = || {
        let command = command().args(scene.server.arguments());
        command.args(["--state", &scene.path(), "--check"]).run()
    };
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    metadata.open(&session("S1"));
    wait_until("on the disk", || scene.journal().contains("S1"));
    let exit = check();
    assert_eq!(exit.code(), 0, "{exit}");
    let found = format!("{}: 1 sessions of an earlier run\n", scene.path());
    assert!(exit.stdout.contains(&found), "{exit}");
    end(adapter);

    let damaged = scene.journal() + "damage\n";
    scene.files.write("sessions", &damaged);
    let exit = check();
    assert_eq!(exit.code(), 0, "{exit}");
    assert!(exit.stdout.contains("sessions: damaged in line"), "{exit}");
    assert_eq!(scene.journal(), damaged);

    scene.files.write("sessions", "something else\n");
    let exit = check();
    assert_eq!(exit.code(), 1, "{exit}");
    assert!(exit.stderr.contains("is no journal of sessions"), "{exit}");
    assert_eq!(scene.journal(), "something else\n");
}
