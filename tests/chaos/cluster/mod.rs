//! The same with three servers in one room: one that is called, one that connects, and one of either way by chance.
//!
//! What each server does is less wild than what a single one does ([`crate::side`]); what is looked at is what several
//! have together: one order, success only for what somebody gets, nobody who misses what the others have ([`ledger`]),
//! and that connections which are replaced are over.

mod data;
mod door;
mod ledger;
mod line;
mod metadata;

use std::env;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use door::Door;
use ledger::Ledger;

use crate::random::Random;
use crate::resources::{Bounds, observe};
use crate::standin::{Command, RemoteHost, Side};
use crate::world::{Phase, Run, World};
use crate::{LONG, SHORT, any_seed, variable};

/// So many servers there are.
pub(crate) const SERVERS: usize = 3;

/// What the threads of all servers share.
pub(crate) struct Cluster<'a> {
    pub(crate) world: &'a World,
    ledger: Mutex<Ledger>,
    /// So many data connections are in the room for good.
    in_room: AtomicUsize,
    /// So many metadata connections have sent all they had to.
    served: AtomicUsize,
}

impl Cluster<'_> {
    /// What was sent and came so far.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more data connection is in the room for good.
    pub(crate) fn is_in_room(&self) {
        if self.in_room.fetch_add(1, Ordering::SeqCst) + 1 == SERVERS {
            self.world.reached(Phase::Open);
        }
    }

    /// One more server has sent all it had to.
    pub(crate) fn has_served(&self) {
        if self.served.fetch_add(1, Ordering::SeqCst) + 1 == SERVERS {
            self.world.reached(Phase::Served);
        }
    }
}

#[test]
fn three_servers() {
    let seconds = variable("CHAOS_SECONDS").unwrap_or(SHORT);
    let seed = variable("CHAOS_SEED").unwrap_or_else(any_seed);
    let _ = writeln!(
        io::stderr(),
        "chaos, three servers: CHAOS_SECONDS={seconds} CHAOS_SEED={seed}"
    );
    let mut random = Random::new(seed);
    let ports = RemoteHost::new();
    let addresses = [Side::Metadata, Side::Data].map(|side| ports.address(side));
    let is_called = [true, false, random.chance(50)];
    let doors = is_called.map(|is_called| [0, 1].map(|side| Door::new(is_called, addresses[side])));
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-adapter")).args(ports.arguments());
    for [metadata, data] in doors.iter().filter(|[door, _]| door.is_called()) {
        let [metadata, data] = [metadata, data].map(|door| door.address().port());
        command = command.args(["--host", &format!("127.0.0.1:{metadata}:{data}")]);
    }
    let adapter = command.start();
    for address in addresses {
        adapter.wait_for_log(&[&format!("{address}: listening")]);
    }
    let called = is_called.into_iter().filter(|&it| it).count();
    let world = World::new(Duration::from_secs(seconds), seconds >= LONG);
    let cluster = Cluster {
        world: &world,
        ledger: Mutex::default(),
        in_room: AtomicUsize::new(0),
        served: AtomicUsize::new(0),
    };
    let bounds = Bounds::of_servers(called, SERVERS - called);
    let mut parts: Vec<Box<dyn FnOnce() + Send + '_>> = Vec::new();
    for (server, [at_metadata, at_data]) in doors.into_iter().enumerate() {
        let seeds = [(); 2].map(|()| Random::new(random.next()));
        let [one, other] = seeds;
        let (world, cluster) = (&world, &cluster);
        let speak: Part<'_> = Box::new(move || metadata::run(cluster, server, at_metadata, one));
        let hear: Part<'_> = Box::new(move || data::run(cluster, server, at_data, other));
        for (who, part) in [("metadata", speak), ("data", hear)] {
            let who = format!("{who} of server {server}");
            parts.push(Box::new(move || world.guard(&who, part)));
        }
    }
    let third = Random::new(random.next());
    thread::scope(|scope| {
        for part in parts {
            scope.spawn(part);
        }
        scope.spawn(|| world.guard("process", || observe(&world, &adapter, &bounds, third)));
    });
    if let Some(violation) = world.violation() {
        panic!("CHAOS_SECONDS={seconds} CHAOS_SEED={seed}: {violation}");
    }
    let settled = cluster.ledger().settle();
    let summary = settled.unwrap_or_else(|violation| panic!("CHAOS_SEED={seed}: {violation}"));
    let seen = world.figures();
    let _ = writeln!(
        io::stderr(),
        "chaos, three servers: seed {seed}: {summary}; {seen}"
    );
    let exit = adapter.wait();
    assert_eq!(exit.code(), 0, "CHAOS_SEED={seed}: {exit}");
}

/// What one thread does.
type Part<'a> = Box<dyn FnOnce() -> Run<()> + Send + 'a>;
