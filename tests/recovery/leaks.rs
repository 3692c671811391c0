//! Sessions without number, and nothing that piles up.

use crate::setup::{AGENT, IP, Setup};
use crate::standin::{Init, Side};

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
