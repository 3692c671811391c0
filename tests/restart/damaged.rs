//! Files that were not written to their end, or changed since.

use crate::{LOST, Scene, end, say, session};
use std::fs;

/// A journal of three sessions, changed by `damage`.
fn with_journal(damage: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Scene {
    let scene = Scene::new();
    let adapter = scene.start();
    let (mut metadata, _data) = scene.meet();
    for id in ["S1", "S2", "S3"] {
        metadata.open(&session(id));
    }
    end(adapter);
    let journal = fs::read(scene.path()).expect("a journal");
    scene.files.write("sessions", damage(journal));
    scene
}

fn said(scene: &Scene) -> [Result<(), String>; 3] {
    let (mut metadata, _data) = scene.meet();
    ["S1", "S2", "S3"].map(|id| say(&mut metadata, id))
}

#[test]
fn a_last_line_that_was_never_finished_does_not_count() {
    for cut in [1, 5, 40] {
        let scene = with_journal(|mut journal| {
            journal.truncate(journal.len() - cut);
            journal
        });
        let adapter = scene.start();
        assert_eq!(said(&scene), [Ok(()), Ok(()), Err(LOST.into())]);
        let log = adapter.log();
        assert!(!log.contains("damaged"), "{log}");
    }
}

#[test]
fn what_a_power_cut_left_behind_the_last_line_does_not_count() {
    let scene = with_journal(|mut journal| {
        journal.extend([0; 4096]);
        journal
    });
    let _adapter = scene.start();
    assert_eq!(said(&scene), [Ok(()), Ok(()), Ok(())]);
}

#[test]
fn what_stands_before_a_damaged_line_is_used_and_the_file_kept_aside() {
    let flip = |journal: Vec<u8>| {
        let text = String::from_utf8(journal).expect("text");
        text.replacen("S|S2|", "S|S9|", 1).into_bytes()
    };
    let lose = |journal: Vec<u8>| {
        let text = String::from_utf8(journal).expect("text");
        let kept = text.lines().filter(|line| !line.contains("S|S2|"));
        kept.flat_map(|line| [line, "\n"])
            .collect::<String>()
            .into_bytes()
    };
    let cases: [fn(Vec<u8>) -> Vec<u8>; 2] = [flip, lose];
    for damage in cases {
        let scene = with_journal(damage);
        let damaged = scene.journal();
        let adapter = scene.start();
        let words = ["warn", "damaged in line", "1 sessions of an earlier run"];
        let line = adapter.wait_for_log(&words);
        assert!(line.contains("sessions.damaged"), "{line}");
        let [first, second, third] = said(&scene);
        let lost = [first, second, third]
            .iter()
            .filter(|it| it.is_err())
            .count();
        assert_eq!(lost, 2);
        let aside = fs::read_to_string(scene.files.path("sessions.damaged"));
        assert_ne!(scene.journal(), "", "it goes on with what is whole");
        assert_eq!(aside.expect("the old file"), damaged);
    }
}

#[test]
fn a_damaged_first_line_is_damage_too() {
    let scene = with_journal(|mut journal| {
        journal[30] ^= 1;
        journal
    });
    let adapter = scene.start();
    adapter.wait_for_log(&["warn", "damaged in line 1: 0 sessions"]);
    assert!(said(&scene).iter().all(Result::is_err));
}

#[test]
fn a_first_line_that_was_never_finished_is_an_empty_journal() {
    let scene = with_journal(|mut journal| {
        journal.truncate(20);
        journal
    });
    let _adapter = scene.start();
    assert!(said(&scene).iter().all(Result::is_err));
}

#[test]
fn what_a_power_cut_left_of_a_new_file_is_an_empty_journal() {
    for end in ["", "\n"] {
        let blank = [0; 4096].into_iter().chain(end.bytes());
        let scene = with_journal(|_| blank.collect());
        let _adapter = scene.start();
        assert!(said(&scene).iter().all(Result::is_err));
    }
}
