//! The watchdog is pinged while all threads live, and not when one is stuck.
//!
//! Nothing outside can make a thread of the chat stuck. So that test starts itself again as another
//! adapter, of the same parts, whose provider blocks.

use crate::notify_socket::NotifySocket;
use crate::standin::{Command, DEADLINE, Init, Server, Session, Side};
use chat_adapter::logging;
use chat_adapter::provider::{MetadataError, MetadataProvider, Parameters};
use chat_adapter::server::Servers;
use chat_adapter::service::ServiceNotifier;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

const WATCHDOG: Duration = Duration::from_secs(1);

/// Tells the test that it is the other adapter, and the host and port of its Proxy.
const PROXY: &str = "SERVICE_WATCHDOG_PROXY";

/// What its provider waits for: somebody who writes to this pipe.
const PIPE: &str = "SERVICE_WATCHDOG_PIPE";

fn is_ping(notification: &str) -> bool {
    notification == "WATCHDOG=1\n"
}

fn watched(command: Command, systemd: &NotifySocket) -> Command {
    command
        .env("NOTIFY_SOCKET", &systemd.address)
        .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
}

/// A directory that goes with the test, and a pipe in it.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Directory {
        let name = format!("{test}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a directory for this test");
        let directory = Directory(path);
        let made = std::process::Command::new("mkfifo")
            .arg(directory.pipe())
            .status();
        assert!(made.expect("the mkfifo command").success());
        directory
    }

    fn pipe(&self) -> PathBuf {
        self.0.join("pipe")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Blocking(PathBuf);

impl MetadataProvider for Blocking {
    fn notify_new_session(
        &mut self,
        _user: Option<&str>,
        _session_id: &str,
        _client_context: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        fs::read(&self.0).expect("a pipe");
        Ok(())
    }
}

/// What `main` does, with another provider.
fn run_another_adapter(proxy: &str) -> ! {
    let (host, port) = proxy.split_once(' ').expect("host and port");
    let pipe = PathBuf::from(env::var_os(PIPE).expect("a pipe"));
    logging::start(None);
    let mut service = ServiceNotifier::from_env();
    let servers = Servers::builder()
        .host(host)
        .heartbeat(service.heartbeat().expect("a watchdog"));
    let running = servers.metadata(port.parse().expect("a port"), move || {
        Blocking(pipe.clone())
    });
    let running = running.expect("a thread");
    loop {
        service.update(running.is_alive(), String::new());
        thread::sleep(service.interval());
    }
}

#[test]
fn a_stuck_thread_stops_the_pings() {
    if let Ok(proxy) = env::var(PROXY) {
        run_another_adapter(&proxy);
    }
    let systemd = NotifySocket::new();
    let directory = Directory::new("stuck");
    let server = Server::start();
    let proxy = format!("{} {}", server.metadata.host(), server.metadata.port());
    let command = Command::new(env::current_exe().expect("this program"))
        .args(["watchdog::a_stuck_thread_stops_the_pings", "--exact"])
        .arg("--nocapture")
        .env(PROXY, proxy)
        .env(PIPE, directory.pipe());
    let adapter = watched(command, &systemd).start();
    let mut metadata = server.meet_metadata(&Init::new(Side::Metadata));
    for _ in 0..3 {
        systemd.wait_for(is_ping);
    }
    let id = metadata.send_open(&Session::new("S1", "192.0.2.7", "Browser"));
    // What systemd does: it waits for so long, and then ends the service.
    let start = Instant::now();
    let mut last = start;
    while last.elapsed() < 2 * WATCHDOG {
        let left = (2 * WATCHDOG).saturating_sub(last.elapsed());
        if systemd.next_within(left).is_some_and(|text| is_ping(&text)) {
            last = Instant::now();
        }
        assert!(
            start.elapsed() < DEADLINE,
            "the watchdog is pinged on while a thread is stuck"
        );
    }
    adapter.wait_for_log(&["a thread is stuck"]);
    // Free again, it lives.
    fs::write(directory.pipe(), "x").expect("somebody who reads");
    metadata.expect_void(&id);
    systemd.wait_for(is_ping);
}

#[test]
fn a_file_that_does_not_come_stops_no_ping() {
    let systemd = NotifySocket::new();
    let directory = Directory::new("hung");
    let file = directory.0.join("password");
    fs::write(&file, "pwd1").expect("a file");
    let server = Server::start();
    let start = |file: &Path| {
        let command = crate::command().args(server.arguments());
        let command = command
            .args(["--user", "user1", "--password-file"])
            .arg(file);
        watched(command, &systemd).start()
    };
    // At the start: it says so only when the watchdog would have ended it several times.
    let adapter = start(&directory.pipe());
    adapter.wait_for_log(&["waiting for", "--password-file"]);
    systemd.wait_for(is_ping);
    assert!(!adapter.log().contains("stuck"), "{}", adapter.log());
    adapter.signal("TERM");
    assert_eq!(adapter.wait().code(), 0);
    // At a reload.
    let adapter = start(&file);
    systemd.wait_for(|text| text == "READY=1\n");
    fs::rename(directory.pipe(), &file).expect("a pipe in place of the file");
    adapter.signal("HUP");
    systemd.wait_for(|text| text.starts_with("RELOADING=1\n"));
    for _ in 0..5 {
        assert!(is_ping(
            &systemd.wait_for(|text| !text.starts_with("STATUS="))
        ));
    }
    adapter.wait_for_log(&["not reloaded", "--password-file"]);
    systemd.wait_for(|text| text == "READY=1\n");
    assert!(!adapter.log().contains("stuck"), "{}", adapter.log());
}
