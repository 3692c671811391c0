//! A system that does not tell what became of sent bytes, as in a container whose filter of system calls
//! allows no netlink.

use crate::setup::SESSION;
use crate::slow_reader::accept_into_small_buffers;
use crate::standin::{Session, uninterrupted};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Longer than a peer that takes nothing is given where the system tells.
const BUSY: Duration = Duration::from_secs(24);

/// Denies this thread, and processes that it starts, the sockets by which the system is asked.
fn deny_netlink() {
    let length = SeccompCmpArgLen::Dword;
    let netlink = SeccompCondition::new(0, length, SeccompCmpOp::Eq, libc::AF_NETLINK as u64);
    let rule = SeccompRule::new(vec![netlink.expect("a condition")]).expect("a rule");
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    let architecture = std::env::consts::ARCH
        .try_into()
        .expect("a known processor");
    let rules = [(libc::SYS_socket, vec![rule])].into_iter().collect();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, architecture);
    let program: seccompiler::BpfProgram = filter.and_then(TryInto::try_into).expect("a filter");
    seccompiler::apply_filter(&program).expect("a kernel with filters");
}

#[test]
fn a_busy_proxy_is_waited_for_though_the_system_does_not_tell_that_it_is_there() {
    let started = thread::spawn(|| {
        deny_netlink();
        accept_into_small_buffers()
    });
    let (adapter, mut metadata, mut stream) = started.join().expect("an adapter");
    metadata.open(&Session::new(SESSION, "192.0.2.7", "agent"));
    let filler = "x".repeat(16 << 10);
    for n in 0..100 {
        metadata.say(SESSION, &format!("{n} {filler}")).unwrap();
    }
    let (_never, busy) = mpsc::channel::<()>();
    let _ = busy.recv_timeout(BUSY);
    let mut received = Vec::new();
    let mut some = [0; 1 << 16];
    let last = format!("|S|message|S|99 {filler}");
    let tail = |bytes: &[u8]| bytes[bytes.len().saturating_sub(1 << 17)..].to_vec();
    while !String::from_utf8_lossy(&tail(&received)).contains(&last) {
        let count = uninterrupted(|| stream.read(&mut some)).expect("a connection that is kept");
        assert!(count > 0, "{}", adapter.log());
        received.extend_from_slice(&some[..count]);
    }
    let log = adapter.log();
    let told = log.lines().filter(|line| line.contains("does not tell"));
    assert_eq!(told.count(), 1, "{log}");
    adapter.wait_for_log(&["warn", "Operation not permitted", "after 120 s"]);
}
