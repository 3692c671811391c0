//! Overload: more messages than fit anywhere, while the data side does not read.

use std::fs;

use super::Metadata;
use super::lines::Action;
use crate::proxy::Proxy;
use crate::random::Random;
use crate::world::{Halt, Run};

/// How many bytes may wait in the adapter: its bound and a good deal more.
const QUEUED: usize = 10 << 20;

/// What a run has no time for, on systems that take that much.
const TOO_MUCH: usize = 32 << 20;

/// How many bytes the system takes between the adapter and a server that does not read.
fn between() -> usize {
    let limits = fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").unwrap_or_default();
    let most = limits.split_whitespace().nth(2);
    most.and_then(|most| most.parse().ok()).unwrap_or(4 << 20)
}

impl Metadata {
    /// More than fits anywhere, while the data side does not read.
    pub(super) fn overload(&mut self, proxy: &mut Proxy<'_>, random: &mut Random) -> Run<()> {
        let world = proxy.world;
        world.happened("metadata", "overload");
        world.set_overloaded(true);
        let outcome = self.send_too_much(proxy, random);
        world.set_overloaded(false);
        outcome
    }

    fn send_too_much(&mut self, proxy: &mut Proxy<'_>, random: &mut Random) -> Run<()> {
        let most = QUEUED + between();
        let mut sent = 0;
        while sent < (most + QUEUED / 2).min(TOO_MUCH) {
            let bytes = self.lines(Action::Bulk, proxy, random);
            sent += bytes.len().max(most / 100); // there may be no session to send for
            proxy.send(&bytes)?;
        }
        proxy.read_until("the answers under overload", |proxy| proxy.is_answered())?;
        let undelivered = proxy.world.ledger().undelivered();
        match undelivered > most {
            true => Err(Halt(format!("{undelivered} bytes are queued"))),
            false => Ok(()),
        }
    }
}
