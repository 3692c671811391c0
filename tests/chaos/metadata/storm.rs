//! A storm: more messages than fit anywhere, while the data side does not read.

use std::fs;

use super::Metadata;
use super::lines::Act;
use crate::random::Random;
use crate::talk::Talk;
use crate::world::{Halt, Play};

/// How many bytes may wait in the adapter: its bound and a good deal more.
const WAITING: usize = 10 << 20;

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
    pub(super) fn storm(&mut self, talk: &mut Talk<'_>, random: &mut Random) -> Play<()> {
        let world = talk.world;
        world.happened("metadata", "a storm");
        world.set_stormy(true);
        let outcome = self.blow(talk, random);
        world.set_stormy(false);
        outcome
    }

    fn blow(&mut self, talk: &mut Talk<'_>, random: &mut Random) -> Play<()> {
        let most = WAITING + between();
        let mut sent = 0;
        while sent < (most + WAITING / 2).min(TOO_MUCH) {
            let bytes = self.lines(Act::Bulk, talk, random);
            sent += bytes.len().max(most / 100); // nobody may be there to say anything
            talk.send(&bytes)?;
        }
        talk.listen_until("the storm", |talk| talk.is_answered())?;
        let promised = talk.world.ledger().promised();
        match promised > most {
            true => Err(Halt(format!("{promised} bytes are waiting"))),
            false => Ok(()),
        }
    }
}
