//! Chaos: the real binary against a server that misbehaves at random on both connections, while all that must hold is
//! checked at every moment.
//!
//! ```text
//! cargo test --test chaos                       a short run
//! CHAOS_SECONDS=600 cargo test --test chaos     a long one, with faults that take half a minute to recover from
//! CHAOS_SEED=42 cargo test --test chaos         the choices of an earlier run, whose seed was printed
//! ```
//!
//! With three servers ([`cluster`]) the faults are fewer, and what is checked is what they have together.
//!
//! With one, each side runs its Proxy on a thread of its own ([`side`]; [`metadata`] and [`data`] have what a Proxy sends), draws
//! its faults from the seed ([`fault`]), and enters what is sent and what comes into one [`ledger`], which knows what may follow. A
//! third thread watches the process ([`resources`]). The first thing that must not be ends the run, and is reported with the
//! seed and with what happened before.

#[path = "../standin/mod.rs"]
mod standin;

mod backoff;
mod bulk;
mod cluster;
mod data;
mod fault;
mod garbage;
mod ledger;
mod metadata;
mod opening;
mod port;
mod proxy;
mod random;
mod requests;
mod resources;
mod sessions;
mod side;
mod wire;
mod world;

use std::env;
use std::io::{self, Write};
use std::process;
use std::thread;
use std::time::{Duration, SystemTime};

use crate::data::Data;
use crate::metadata::Metadata;
use crate::port::Port;
use crate::random::Random;
use crate::resources::{Bounds, observe};
use crate::side::run;
use crate::standin::Command;
use crate::world::World;

/// How long a run under `cargo test` goes on misbehaving, in seconds.
const SHORT: u64 = 5;

/// From so many seconds on there is time for faults that the adapter answers with a long wait.
const LONG: u64 = 60;

#[test]
fn chaos() {
    let seconds = variable("CHAOS_SECONDS").unwrap_or(SHORT);
    let seed = variable("CHAOS_SEED").unwrap_or_else(any_seed);
    // Not by the macros: what they print appears for tests that fail only.
    let _ = writeln!(
        io::stderr(),
        "chaos: CHAOS_SECONDS={seconds} CHAOS_SEED={seed}"
    );
    let mut random = Random::new(seed);
    let ports = [Port::reserve("metadata"), Port::reserve("data")];
    let [host, metadata_port, data_port] = [
        ports[0].address().ip().to_string(),
        ports[0].address().port().to_string(),
        ports[1].address().port().to_string(),
    ];
    let adapter = Command::new(env!("CARGO_BIN_EXE_chat-adapter"))
        .args(["--host", &host])
        .args(["--metadata_rrport", &metadata_port])
        .args(["--data_rrport", &data_port])
        .start();
    let world = World::new(Duration::from_secs(seconds), seconds >= LONG);
    let seeds = [(); 3].map(|()| random.next());
    let [metadata_port, data_port] = ports;
    thread::scope(|scope| {
        let (world, adapter) = (&world, &adapter);
        let [one, other, third] = seeds.map(Random::new);
        scope.spawn(|| {
            world.guard("metadata", || {
                run(world, Metadata::new(), metadata_port, one)
            })
        });
        scope.spawn(|| world.guard("data", || run(world, Data::new(), data_port, other)));
        scope.spawn(|| world.guard("process", || observe(world, adapter, &Bounds::ONE, third)));
    });
    if let Some(violation) = world.violation() {
        panic!("CHAOS_SECONDS={seconds} CHAOS_SEED={seed}: {violation}");
    }
    assert!(!world.ledger().has_debts(), "the ledger is not settled");
    let (summary, seen) = (world.ledger().summary(), world.figures());
    let _ = writeln!(io::stderr(), "chaos: seed {seed}: {summary}; {seen}");
    let exit = adapter.wait();
    assert_eq!(exit.code(), 0, "CHAOS_SEED={seed}: {exit}");
}

/// A number from the environment.
fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    match value.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name} must be a number, not {value:?}"),
    }
}

fn any_seed() -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    now.as_nanos() as u64 ^ u64::from(process::id()) << 40
}
