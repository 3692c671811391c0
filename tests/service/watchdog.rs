//! The watchdog is pinged while all threads live, and not when one is stuck.
//!
//! A thread is made to get stuck by a log that nobody reads: at `trace` each request is logged by the thread that reads
//! it, until the pipe is full. The main thread, which pings, logs nothing of that, and would go on if it did not ask.

use crate::manager::Manager;
use crate::standin::{Server, Session};
use std::io::Read;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const WATCHDOG: Duration = Duration::from_secs(1);

/// More log than a pipe takes.
const REQUESTS: usize = 64;
const LONG_NAME: usize = 4000;

/// Kills the child when a test fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only for a child that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_stuck_thread_stops_the_pings() {
    let manager = Manager::new();
    let server = Server::start();
    let child = std::process::Command::new(crate::binary())
        .args(server.arguments())
        .args(["--log", "trace"])
        .env("NOTIFY_SOCKET", manager.address())
        .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
        .env_remove("WATCHDOG_PID")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the adapter");
    let mut child = Killed(child);
    let (mut metadata, _data) = server.meet();
    metadata.open(&Session::new("S1", "192.0.2.7", "Browser"));
    let is_ping = |text: &str| text.contains("WATCHDOG=1");
    for _ in 0..3 {
        manager.wait_for(is_ping);
    }

    for _ in 0..REQUESTS {
        metadata.send_say("no such session", &"x".repeat(LONG_NAME));
    }
    // What systemd does: it waits for so long, and then ends the service.
    let start = Instant::now();
    let mut last = start;
    while last.elapsed() < 2 * WATCHDOG {
        let left = (2 * WATCHDOG).saturating_sub(last.elapsed());
        if manager.next_within(left).is_some_and(|text| is_ping(&text)) {
            last = Instant::now();
        }
        assert!(
            start.elapsed() < crate::standin::DEADLINE,
            "the watchdog is pinged on while a thread is stuck"
        );
    }

    // Read at last, the log frees the thread.
    let mut log = child.0.stderr.take().expect("stderr is a pipe");
    let log = thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).map(|_| text)
    });
    manager.wait_for(is_ping);
    let kill = std::process::Command::new("kill")
        .args(["-s", "TERM", &child.0.id().to_string()])
        .status();
    assert!(kill.expect("the kill command").success());
    let log = log.join().expect("a reader").expect("a log in UTF-8");
    assert!(log.contains("a thread is stuck"), "{log}");
    assert_eq!(child.0.wait().expect("its status").code(), Some(0));
}
