//! Half a record, and then nothing: whoever waits for the rest waits alone, and does no work.

use std::fs;

use crate::setup::{SESSION, Setup, VERSIONS};
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
        let mut setup = Setup::with(&[version], &[]);
        setup.open_room();
        let record = setup.data_peer.seal(b"1f|USB|S|chat_room\r\n");
        let (first, rest) = record.split_at(record.len() / 2);
        setup.data_peer.write_raw(first);
        let times = |setup: &Setup| ["data", "metadata"].map(|name| run_time(&setup.adapter, name));
        let before = times(&setup);
        for n in 0..500 {
            // Both connections serve: requests on one, updates on the other, whose reader has its half.
            setup.chat(&n.to_string());
        }
        let after = times(&setup);
        let [waiting, serving] = [0, 1].map(|n| after[n] - before[n]);
        assert!(
            waiting < serving,
            "{waiting} ns of waiting, {serving} ns of serving"
        );
        setup.data_peer.write_raw(rest);
        setup.data.connection.expect("1f|USB|V");
        assert!(setup.metadata.say(SESSION, "anybody?").is_err());
    }
}

#[test]
fn so_does_half_a_handshake() {
    let setup = Setup::new();
    drop((setup.data, setup.data_peer));
    let _socket = setup.ports.data.accept();
    let mut metadata = setup.metadata;
    let times = || ["data", "metadata"].map(|name| run_time(&setup.adapter, name));
    let before = times();
    for n in 0..500 {
        metadata.close_session(&n.to_string());
    }
    let after = times();
    assert!(
        after[0] - before[0] < after[1] - before[1],
        "{before:?}, {after:?}"
    );
    setup.adapter.signal("TERM");
    assert_eq!(setup.adapter.wait().code(), 0);
}
