//! Under a watchdog, as a service that others connect to.

use crate::cluster::{Proxies, all_hear, await_listening};
use crate::notify_socket::NotifySocket;
use crate::setup::command;
use crate::standin::{RemoteHost, Side};
use std::slice::from_mut;
use std::time::{Duration, Instant};

/// Longer than any thread may be silent with a watchdog of a second, which is twice half of it and a second more.
const LONG: Duration = Duration::from_millis(2500);

#[test]
fn to_wait_for_somebody_to_connect_or_to_speak_is_no_fault() {
    let (ports, systemd) = (RemoteHost::new(), NotifySocket::new());
    let adapter = command()
        .args(ports.arguments())
        .env("NOTIFY_SOCKET", &systemd.address)
        .env("WATCHDOG_USEC", "1000000")
        .start();
    await_listening(&adapter, &ports);
    let mut proxies = Proxies::connected(&ports, "one").in_room();
    let _silent = [Side::Metadata, Side::Data].map(|side| ports.connect(side));
    // One that has come and gone has no heartbeat any more.
    drop(Proxies::connected(&ports, "two"));
    let start = Instant::now();
    while start.elapsed() < LONG {
        systemd.wait_for(|text| text == "WATCHDOG=1\n");
    }
    all_hear(from_mut(&mut proxies), 0, "all is well");
    let log = adapter.log();
    assert!(!log.contains("stuck"), "{log}");
    systemd.wait_for(|text| text.starts_with("STATUS=") && text.contains("data 1 of 2 serving"));
}
