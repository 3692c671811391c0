//! The life of one side's Proxy: the adapter comes, is served for a while, is mistreated, and must come back in time; and
//! when time is up, everything must work.

use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::ledger::Connection;
use crate::opening::Opening;
use crate::patience::Patience;
use crate::port::Port;
use crate::random::Random;
use crate::standin::{Init, Side};
use crate::talk::Talk;
use crate::wire::Wire;
use crate::world::{Halt, Play, World};

/// What is special to a side.
pub(crate) trait Part {
    /// Which it is.
    const SIDE: Side;

    /// The init of the next connection.
    fn init(&mut self, random: &mut Random) -> Init;

    /// The adapter has connected: what was before is over for it, too. Yields a number for the connection.
    fn begins(&mut self, world: &World) -> Play<Connection>;

    /// The connection never came to serve. Where that is unsure, the adapter may have agreed to the init.
    fn missed(&mut self, unsure: bool);

    /// The connection serves.
    fn opened(&mut self, talk: &mut Talk<'_>) -> Play<()>;

    /// Says something, or nothing for a while.
    fn act(&mut self, talk: &mut Talk<'_>, random: &mut Random) -> Play<()>;

    /// The connection is over. In good order: all that was queued has come.
    fn ended(&mut self, world: &World, connection: Connection, in_order: bool) -> Play<()>;

    /// Shows that it serves, and sees it to its end.
    fn finale(&mut self, talk: Talk<'_>, random: &mut Random) -> Play<()>;
}

/// Plays a side from the beginning to the end.
pub(crate) fn run<P: Part>(
    world: &World,
    mut part: P,
    mut port: Port,
    mut random: Random,
) -> Play<()> {
    let random = &mut random;
    let who = format!("{:?}", P::SIDE);
    let mut patience = Patience::new();
    port.open();
    loop {
        let init = part.init(random);
        let Some((wire, number)) = opened(world, &mut part, &port, &init, &mut patience, random)?
        else {
            continue;
        };
        let mut talk = Talk::new(world, P::SIDE, wire, init.encoding(), number);
        let was_calm = world.is_calm();
        world.happened(
            &who,
            &format!("connection {number} serves: {}", init.line()),
        );
        part.opened(&mut talk)?;
        let life = match random.chance(70) {
            true => random.millis(1050, 1600),
            false => random.millis(20, 400),
        };
        while talk.served() < life && !world.is_calm() {
            part.act(&mut talk, random)?;
        }
        if was_calm || world.is_calm() && random.chance(60) {
            return part.finale(talk, random);
        }
        let (served, fault) = (talk.served(), Fault::draw(random));
        world.happened(&who, &format!("connection {number}: {fault:?}"));
        let (in_order, away) = fault.play(talk, &mut port, &init, random)?;
        part.ended(world, number, in_order)?;
        patience.ended(Some(served));
        if !away.is_zero() {
            patience.refused_for(away);
        }
    }
}

/// Awaits the adapter and opens a connection with it, or fails to, as chance will have it.
fn opened<P: Part>(
    world: &World,
    part: &mut P,
    port: &Port,
    init: &Init,
    patience: &mut Patience,
    random: &mut Random,
) -> Play<Option<(Wire, Connection)>> {
    let stream = await_adapter(world, port, patience)?;
    let number = part.begins(world)?;
    let opening = match world.is_calm() {
        true => Opening::Proper,
        false => Opening::draw(random, world.is_long()),
    };
    if let Some(wire) = opening.play(world, stream, init, random)? {
        return Ok(Some((wire, number)));
    }
    world.happened(
        &format!("{:?}", P::SIDE),
        &format!("connection {number}: {opening:?}"),
    );
    part.missed(opening.is_unsure());
    match opening.is_lasting() {
        true => patience.ended_lastingly(),
        false => patience.ended(None),
    }
    Ok(None)
}

/// The adapter must come back within the bound of its backoff.
fn await_adapter(world: &World, port: &Port, patience: &Patience) -> Play<std::net::TcpStream> {
    let until = Instant::now() + patience.bound();
    loop {
        world.wait(Duration::ZERO)?;
        if let Some(stream) = port.accept(Duration::from_millis(50)) {
            return Ok(stream);
        }
        if Instant::now() > until {
            return Err(Halt(format!("the adapter did not come back: {patience:?}")));
        }
    }
}
