//! Sessions without number, and nothing that piles up.

use crate::setup::{AGENT, IP, Setup};
use crate::standin::{Init, Side};

/// How many KiB so many sessions take, each with a user agent of its own.
fn memory_of(sessions: usize, agent: &str) -> u64 {
    let mut setup = Setup::with(
        &["--log", "error"],
        &Init::new(Side::Metadata),
        &Init::new(Side::Data),
    );
    let before = setup.adapter.resident_kib();
    for n in 0..sessions {
        let context = format!("S|REMOTE_IP|S|{IP}|S|USER_AGENT|S|{n} {agent}");
        let line = format!("{n}|NNS|S|#|S|S{n}T0123456789012345|{context}");
        setup.metadata.connection.send_line(line);
        setup.metadata.connection.expect(&format!("{n}|NNS|V"));
    }
    setup.adapter.resident_kib() - before
}

#[test]
fn a_user_agent_without_end_takes_no_more_than_a_long_one() {
    let [long, endless] = [1000, 20_000].map(|length| memory_of(1000, &"x".repeat(length)));
    // What came in is in buffers, too, whatever is kept of it.
    assert!(endless < long + 3000, "{endless} KiB, {long} KiB");
}

#[test]
fn sessions_opened_and_closed_leave_no_memory() {
    let mut setup = Setup::with(
        &["--log", "error"],
        &Init::new(Side::Metadata),
        &Init::new(Side::Data),
    );
    let mut rounds = Vec::new();
    for _ in 0..4 {
        for action in ["NNS|S|#|S", "NSC|S"] {
            let context = match action {
                "NSC|S" => String::new(),
                _ => format!("|S|REMOTE_IP|S|{IP}|S|USER_AGENT|S|{AGENT}"),
            };
            // In pieces, so that neither side waits for the other to read.
            for hundred in 0..200 {
                let lines: String = (0..100)
                    .map(|n| format!("{n}|{action}|S{hundred}T{n}{context}\r\n"))
                    .collect();
                setup.metadata.connection.send(lines);
                for n in 0..100 {
                    let method = &action[..3];
                    setup.metadata.connection.expect(&format!("{n}|{method}|V"));
                }
            }
        }
        rounds.push(setup.adapter.resident_kib());
    }
    // After the first round the allocator has what it needs.
    assert!(rounds[3] <= rounds[0] + 1024, "{rounds:?}");
}
