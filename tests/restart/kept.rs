//! What is there again after a restart, and what is not.

use crate::standin::{Init, Side};
use crate::{LOST, Scene, command, end, say, session, wait_until};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_session_outlives_a_restart_and_a_closed_one_does_not() {
    let scene = Scene::new();
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    for id in ["S1", "S2", "S|3 +%"] {
        metadata.open(&session(id));
    }
    metadata.close_session("S2");
    end(adapter);

    let adapter = scene.start();
    adapter.wait_for_log(&["sessions: 2 sessions of an earlier run"]);
    let (mut metadata, mut data) = scene.meet();
    adapter.wait_for_log(&["metadata", "the same server as before: 2 sessions kept"]);
    assert_eq!(say(&mut metadata, "S1"), Ok(()));
    let chat = data.chat();
    assert_eq!(chat.ip, "192.0.2.7");
    assert_eq!(chat.nick, "Mozilla/5.0 (X11; Linux x86_64)");
    assert_eq!(say(&mut metadata, "S2"), Err(LOST.into()));
    assert_eq!(say(&mut metadata, "S|3 +%"), Ok(()));
    // What the Proxy stored while the adapter was away, perhaps for the second time.
    for id in ["S1", "S2", "never seen"] {
        metadata.close_session(id);
    }
    end(adapter);

    let _adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    assert_eq!(say(&mut metadata, "S1"), Err(LOST.into()));
    assert_eq!(say(&mut metadata, "S|3 +%"), Ok(()));
}

#[test]
fn a_session_outlives_an_adapter_that_is_killed() {
    let scene = Scene::new();
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    metadata.open(&session("S1"));
    wait_until("on the disk", || scene.journal().contains("|NNS|S|#|S|S1|"));
    drop(adapter);
    let _adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    assert_eq!(say(&mut metadata, "S1"), Ok(()));
}

#[test]
fn a_session_without_browser_keeps_its_users_name() {
    let scene = Scene::new();
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    let nameless = session("S1").with("USER_AGENT", None);
    metadata.open(&nameless.of_user("anna"));
    metadata.open(&session("S1 without context"));
    end(adapter);
    for _ in 0..2 {
        let adapter = scene.start();
        let (mut metadata, mut data) = scene.meet();
        assert_eq!(say(&mut metadata, "S1"), Ok(()));
        assert_eq!(data.chat().nick, "anna");
        end(adapter);
    }
}

#[test]
fn a_session_that_is_opened_again_is_labelled_anew() {
    let scene = Scene::new();
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    metadata.open(&session("S1"));
    end(adapter);
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    metadata.open(&session("S1").with("REMOTE_IP", Some("192.0.2.8")));
    end(adapter);
    let _adapter = scene.start();
    let (mut metadata, mut data) = scene.meet();
    assert_eq!(say(&mut metadata, "S1"), Ok(()));
    let _first = data.chat();
}

#[test]
fn sessions_of_another_instance_are_dropped_and_stay_so() {
    let scene = Scene::new();
    let one = Init::new(Side::Metadata).of_instance("one");
    let two = Init::new(Side::Metadata).of_instance("two");
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet_as(&one);
    metadata.open(&session("S1"));
    end(adapter);

    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet_as(&two);
    adapter.wait_for_log(&["not the server of before: 1 sessions dropped"]);
    assert_eq!(say(&mut metadata, "S1"), Err(LOST.into()));
    metadata.open(&session("S2"));
    wait_until("only the new one", || {
        let journal = scene.journal();
        journal.contains("S2") && !journal.contains("S1")
    });
    end(adapter);

    let _adapter = scene.start();
    let (mut metadata, _data) = scene.meet_as(&two);
    assert_eq!(say(&mut metadata, "S1"), Err(LOST.into()));
    assert_eq!(say(&mut metadata, "S2"), Ok(()));
}

#[test]
fn a_proxy_that_names_no_instance_has_nothing_kept() {
    let scene = Scene::new();
    let nameless = Init::new(Side::Metadata).without("proxy.instance_id");
    for _ in 0..2 {
        let adapter = scene.start();
        let (mut metadata, _data) = scene.meet_as(&nameless);
        assert_eq!(say(&mut metadata, "S1"), Err(LOST.into()));
        metadata.open(&session("S1"));
        end(adapter);
        assert_eq!(scene.journal(), "");
    }
}

#[test]
fn without_a_file_nothing_is_kept_and_the_first_line_says_so() {
    let scene = Scene::new();
    for _ in 0..2 {
        let adapter = command().args(scene.server.arguments()).start();
        adapter.wait_for_log(&["chat-adapter", "sessions not kept"]);
        let (mut metadata, _data) = scene.meet();
        assert_eq!(say(&mut metadata, "S1"), Err(LOST.into()));
        metadata.open(&session("S1"));
        end(adapter);
    }
}

#[test]
fn the_directory_that_systemd_gives_is_used_without_an_option() {
    let scene = Scene::new();
    let start = || {
        let first = scene.files.directory().display();
        let command = command().args(scene.server.arguments());
        let listed = format!("{first}:/elsewhere");
        command.env("STATE_DIRECTORY", listed).start()
    };
    let adapter = start();
    adapter.wait_for_log(&["chat-adapter", "sessions kept in", "/sessions"]);
    let (mut metadata, _data) = scene.meet();
    metadata.open(&session("S1"));
    end(adapter);
    let _adapter = start();
    let (mut metadata, _data) = scene.meet();
    assert_eq!(say(&mut metadata, "S1"), Ok(()));
}

#[test]
fn nothing_but_what_is_needed_is_in_the_file_and_only_its_owner_reads_it() {
    let scene = Scene::new();
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    let arguments = ["anna", "her password", "cookie", "a secret"].map(Some);
    metadata.ask("NUS", &arguments);
    metadata.open(&session("S1").with("COOKIE", Some("another secret")));
    metadata.open(&session("S2").with("USER_AGENT", Some(&"x".repeat(5000))));
    end(adapter);
    let journal = scene.journal();
    assert!(
        !journal.contains("secret") && !journal.contains("password"),
        "{journal}"
    );
    assert!(journal.len() < 2000, "{journal}");
    let mode = |name: &str| {
        let metadata = fs::metadata(scene.files.path(name)).expect("a file");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!([mode("sessions"), mode("sessions.lock")], [0o600; 2]);
    assert!(!fs::exists(scene.files.path("sessions.new")).unwrap_or(true));
}

#[test]
fn history_is_left_out_while_sessions_come_and_go() {
    let scene = Scene::new();
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    for n in 0..50 {
        metadata.open(&session(&format!("kept {n}")));
    }
    for n in 0..4000 {
        metadata.open(&session(&format!("gone {n}")));
        metadata.close_session(&format!("gone {n}"));
    }
    wait_until("no history", || scene.journal().lines().count() < 4200);
    drop(adapter);
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    adapter.wait_for_log(&["the same server as before", "sessions kept"]);
    for n in 0..50 {
        assert_eq!(say(&mut metadata, &format!("kept {n}")), Ok(()));
    }
    assert_eq!(say(&mut metadata, "gone 0"), Err(LOST.into()));
}
