//! A host's name: what the name service is asked, and which of several addresses is connected to.
//!
//! A name that means what a test wants, and a name service that does so, take namespaces of the
//! process's own; where they may not be made, the tests say so.

use crate::files::Files;
use crate::standin::Command;
use std::fs;
use std::process;

/// Has `file` stand in the place of `target`, and runs the rest of the arguments.
const REPLACE: &str = r#"mount --bind "$1" "$2"; shift 2; exec "$@""#;

/// A network in which every packet to 198.51.100.2 vanishes.
const DARK: &str = "ip link add here type veth peer name there; \
    ip link set here up; ip link set there up; ip address add 198.51.100.1/24 dev here; \
    ip neighbor add 198.51.100.2 lladdr 02:00:00:00:00:02 dev here";

/// The adapter with a file of its own in the place of one of the system's, after some commands;
/// `None` where that cannot be.
fn adapter_with(setup: &str, file: &str, target: &str) -> Option<Command> {
    let script = format!("{setup}\n{REPLACE}");
    let arguments = ["-rmn", "sh", "-ec", &script, "sh"];
    let mut probe = process::Command::new("unshare");
    let probe = probe.args(arguments).arg(file).args([target, "true"]);
    if !probe.output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no namespaces can be made here");
        return None;
    }
    let command = Command::new("unshare").args(arguments).arg(file);
    Some(command.args([target, env!("CARGO_BIN_EXE_chat-adapter")]))
}

#[test]
fn it_ends_at_once_while_no_name_server_answers() {
    let files = Files::new();
    let servers = "nameserver 198.51.100.2\noptions timeout:30 attempts:5\n";
    let file = files.write("resolv.conf", servers);
    let Some(command) = adapter_with(DARK, &file, "/etc/resolv.conf") else {
        return;
    };
    let adapter = command.args(["--host", "push.example.com"]).start();
    adapter.wait_for_log(&[" data ", "connecting"]);
    let is_looking_up = || {
        let threads = fs::read_dir(format!("/proc/{}/task", adapter.id())).expect("threads");
        let names = threads.flatten().map(|thread| thread.path().join("comm"));
        let names = names.flat_map(fs::read_to_string);
        names.filter(|name| name == "resolver\n").count() == 2
    };
    let start = std::time::Instant::now();
    while !is_looking_up() {
        assert!(
            start.elapsed() < crate::standin::DEADLINE,
            "{}",
            adapter.log()
        );
    }
    adapter.signal("TERM");
    let exit = adapter.wait();
    assert_eq!(exit.code(), 0);
    assert!(!exit.stderr.contains("resolved"), "{exit}");
}
