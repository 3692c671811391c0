//! The life of one side's Proxy: the adapter comes, is served for a while, is mistreated, and must come back in time; and
//! when time is up, everything must work.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::fault::Fault;
use crate::ledger::Connection;
use crate::opening::Opening;
use crate::port::Port;
use crate::proxy::Proxy;
use crate::random::Random;
use crate::standin::{Init, Side};
use crate::wire::Wire;
use crate::world::{Halt, Run, World};

/// What is special to a side.
pub(crate) trait Behaviour {
    /// Which it is.
    const SIDE: Side;

    /// The init of the next connection.
    fn init(&mut self, random: &mut Random) -> Init;

    /// The adapter has connected: what was before is over for it, too. Yields a number for the connection.
    fn begins(&mut self, world: &World) -> Run<Connection>;

    /// The connection never came to serve. Where that is unsure, the adapter may have agreed to the init.
    fn missed(&mut self, unsure: bool);

    /// The connection serves.
    fn opened(&mut self, proxy: &mut Proxy<'_>) -> Run<()>;

    /// Sends something, or nothing for a while.
    fn act(&mut self, proxy: &mut Proxy<'_>, random: &mut Random) -> Run<()>;

    /// The connection is over. In good order: all that was queued has come.
    fn ended(&mut self, world: &World, connection: Connection, in_order: bool) -> Run<()>;

    /// Shows that it serves, and sees it to its end.
    fn end_of_run(&mut self, proxy: Proxy<'_>, random: &mut Random) -> Run<()>;
}

/// Runs a side from the beginning to the end.
pub(crate) fn run<P: Behaviour>(
    world: &World,
    mut behaviour: P,
    mut port: Port,
    mut random: Random,
) -> Run<()> {
    let random = &mut random;
    let who = format!("{:?}", P::SIDE);
    let mut backoff = Backoff::new();
    port.open();
    loop {
        let init = behaviour.init(random);
        let Some((wire, number)) =
            opened(world, &mut behaviour, &port, &init, &mut backoff, random)?
        else {
            continue;
        };
        let mut proxy = Proxy::new(world, P::SIDE, wire, init.encoding(), number);
        let was_calm = world.is_calm();
        world.happened(
            &who,
            &format!("connection {number} serves: {}", init.line()),
        );
        behaviour.opened(&mut proxy)?;
        let life = match random.chance(70) {
            true => random.millis(1050, 1600),
            false => random.millis(20, 400),
        };
        while proxy.served() < life && !world.is_calm() {
            behaviour.act(&mut proxy, random)?;
        }
        if was_calm || world.is_calm() && random.chance(60) {
            return behaviour.end_of_run(proxy, random);
        }
        let (served, fault) = (proxy.served(), Fault::draw(random));
        world.happened(&who, &format!("connection {number}: {fault:?}"));
        let (in_order, away) = fault.run(proxy, &mut port, &init, random)?;
        behaviour.ended(world, number, in_order)?;
        backoff.ended(Some(served));
        if !away.is_zero() {
            backoff.refused_for(away);
        }
    }
}

/// Awaits the adapter and opens a connection with it, or fails to, as chance will have it.
fn opened<P: Behaviour>(
    world: &World,
    behaviour: &mut P,
    port: &Port,
    init: &Init,
    backoff: &mut Backoff,
    random: &mut Random,
) -> Run<Option<(Wire, Connection)>> {
    let stream = await_adapter(world, port, backoff)?;
    let number = behaviour.begins(world)?;
    let opening = match world.is_calm() {
        true => Opening::Proper,
        false => Opening::draw(random, world.is_long()),
    };
    if let Some(wire) = opening.run(world, stream, init, random)? {
        return Ok(Some((wire, number)));
    }
    world.happened(
        &format!("{:?}", P::SIDE),
        &format!("connection {number}: {opening:?}"),
    );
    behaviour.missed(opening.is_unsure());
    match opening.is_lasting() {
        true => backoff.ended_lastingly(),
        false => backoff.ended(None),
    }
    Ok(None)
}

/// The adapter must come back within the bound of its backoff.
fn await_adapter(world: &World, port: &Port, backoff: &Backoff) -> Run<std::net::TcpStream> {
    let until = Instant::now() + backoff.bound();
    loop {
        world.wait(Duration::ZERO)?;
        if let Some(stream) = port.accept(Duration::from_millis(50)) {
            return Ok(stream);
        }
        if Instant::now() > until {
            return Err(Halt(format!("the adapter did not come back: {backoff:?}")));
        }
    }
}
