//! Half a record, and then nothing: whoever waits for the rest waits alone, and does no work.

use std::fs;

use crate::stage::{SESSION, Stage, VERSIONS};
use crate::standin::Adapter;

/// For how long a thread of this name has run so far, in nanoseconds.
fn run_time(adapter: &Adapter, name: &str) -> u64 {
    let tasks =
        fs::read_dir(format!("/proc/{}/task", adapter.id())).expect("the threads of a child");
    for task in tasks {
        let task = task.expect("a thread").path();
        let read = |file: &str| fs::read_to_string(task.join(file)).expect("a file of /proc");
        if read("comm").trim_end() == name {
            let times = read("schedstat");
            return times
                .split(' ')
                .next()
                .and_then(|time| time.parse().ok())
                .expect("a time");
        }
    }
    panic!("no thread named {name}")
}

#[test]
fn half_a_record_keeps_nobody_from_anything() {
    for version in VERSIONS {
        let mut stage = Stage::with(&[version], &[]);
        stage.open_room();
        let record = stage.data_peer.seal(b"1f|USB|S|chat_room\r\n");
        let (first, rest) = record.split_at(record.len() / 2);
        stage.data_peer.write_raw(first);
        let times = |stage: &Stage| ["data", "metadata"].map(|name| run_time(&stage.adapter, name));
        let before = times(&stage);
        for n in 0..500 {
            // Both links serve: requests on one, updates on the other, whose reader has its half.
            stage.chat(&n.to_string());
        }
        let after = times(&stage);
        let [waiting, serving] = [0, 1].map(|n| after[n] - before[n]);
        assert!(
            waiting < serving,
            "{waiting} ns of waiting, {serving} ns of serving"
        );
        stage.data_peer.write_raw(rest);
        stage.data.connection.expect("1f|USB|V");
        assert!(stage.metadata.say(SESSION, "anybody?").is_err());
    }
}

#[test]
fn so_does_half_a_handshake() {
    let stage = Stage::new();
    drop((stage.data, stage.data_peer));
    let _socket = stage.ports.data.accept();
    let mut metadata = stage.metadata;
    let times = || ["data", "metadata"].map(|name| run_time(&stage.adapter, name));
    let before = times();
    for n in 0..500 {
        metadata.close_session(&n.to_string());
    }
    let after = times();
    assert!(
        after[0] - before[0] < after[1] - before[1],
        "{before:?}, {after:?}"
    );
    stage.adapter.signal("TERM");
    assert_eq!(stage.adapter.wait().code(), 0);
}
