//! The watchdog is pinged while all threads live, and not when one is stuck.
//!
//! A thread is made to get stuck by a certificate file that turns into a pipe: what reads it again for the next
//! connection waits for somebody to write. The main thread, which pings, would go on if it did not ask.

use crate::notify_socket::NotifySocket;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const WATCHDOG: Duration = Duration::from_secs(1);

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        let name = format!("watchdog-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a directory for this test");
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn certificate() -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("a name");
    params.self_signed(&key).expect("a certificate").pem()
}

#[test]
fn a_stuck_thread_stops_the_pings() {
    let systemd = NotifySocket::new();
    let directory = Directory::new();
    let [file, pipe, fresh] = ["ca.pem", "pipe", "fresh"].map(|name| directory.0.join(name));
    fs::write(&file, certificate()).expect("a certificate file");
    // Who connects here is accepted and never answered: he shakes hands for a while and comes again.
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a port"));
    let ports = listeners.each_ref().map(|listener| {
        let address = listener.local_addr().expect("its address");
        address.port().to_string()
    });
    let adapter = crate::command()
        .args(["--host", "127.0.0.1", "--tls", "--tls-ca"])
        .arg(&file)
        .args(["--metadata_rrport", &ports[0], "--data_rrport", &ports[1]])
        .env("NOTIFY_SOCKET", &systemd.address)
        .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
        .start();
    let met = listeners
        .each_ref()
        .map(|listener| listener.accept().expect("a connection"));
    let is_ping = |text: &str| text.contains("WATCHDOG=1");
    for _ in 0..3 {
        systemd.wait_for(is_ping);
    }

    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("the mkfifo command").success());
    fs::hard_link(&pipe, &fresh).expect("a second name");
    fs::rename(&fresh, &file).expect("the pipe in place of the file");
    drop(met);
    drop(listeners[0].accept().expect("another try"));
    // What systemd does: it waits for so long, and then ends the service.
    let start = Instant::now();
    let mut last = start;
    while last.elapsed() < 2 * WATCHDOG {
        let left = (2 * WATCHDOG).saturating_sub(last.elapsed());
        if systemd.next_within(left).is_some_and(|text| is_ping(&text)) {
            last = Instant::now();
        }
        assert!(
            start.elapsed() < crate::standin::DEADLINE,
            "the watchdog is pinged on while a thread is stuck"
        );
    }
    adapter.wait_for_log(&["a thread is stuck"]);

    // A writer that comes at last frees whoever waits for one.
    fs::write(&fresh, certificate()).expect("a new certificate file");
    fs::rename(&fresh, &file).expect("the file in place of the pipe");
    let freeing = thread::spawn(move || {
        let writer = fs::OpenOptions::new().write(true).open(&pipe);
        drop(writer.expect("somebody who reads"));
    });
    systemd.wait_for(is_ping);
    freeing.join().expect("a writer");
    adapter.signal("TERM");
    assert_eq!(adapter.wait().code(), 0);
}
