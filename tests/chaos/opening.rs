//! How a connection opens, or fails to.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::proxy::PROMPT;
use crate::random::Random;
use crate::standin::Init;
use crate::wire::Wire;
use crate::world::{Halt, Run, World};

/// What a Proxy does to an adapter that has just connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It takes the adapter in.
    Proper,
    /// It breaks the connection at once.
    ResetAtOnce,
    /// It reads the hello and breaks the connection.
    ResetAfterHello,
    /// It is something else altogether, sends something and goes.
    Stranger,
    /// It goes in the middle of its init.
    ResetInInit,
    /// It goes when it should read the answer to its init.
    ResetAfterInit,
    /// It asks before its init.
    TooEarly,
    /// It turns the adapter away, as if the credentials were wrong.
    TurnAway,
    /// The same without CLOSE.
    FinishAfterHello,
}

impl Opening {
    /// Draws one; those after which the adapter waits long in a long run only.
    pub(crate) fn draw(random: &mut Random, long: bool) -> Self {
        use Opening::*;
        if long && random.chance(1) {
            return random.pick(&[TurnAway, FinishAfterHello, Stranger]);
        }
        let failures = [
            ResetAtOnce,
            ResetAfterHello,
            ResetInInit,
            ResetAfterInit,
            TooEarly,
        ];
        match random.chance(22) {
            true => random.pick(&failures),
            false => Proper,
        }
    }

    /// Whether the adapter takes it for something that only a person can mend.
    pub(crate) fn is_lasting(self) -> bool {
        let lasting = [
            Opening::TurnAway,
            Opening::FinishAfterHello,
            Opening::Stranger,
        ];
        lasting.contains(&self)
    }

    /// Whether the adapter may have agreed to the init without the Proxy knowing.
    pub(crate) fn is_unsure(self) -> bool {
        self == Opening::ResetAfterInit
    }

    /// Does it. What is [`Opening::Proper`] yields a connection that serves.
    pub(crate) fn run(
        self,
        world: &World,
        stream: TcpStream,
        init: &Init,
        random: &mut Random,
    ) -> Run<Option<Wire>> {
        let mut wire = Wire::new(stream);
        if self == Opening::ResetAtOnce {
            wire.reset();
            return Ok(None);
        }
        let hello = await_line(world, &mut wire)?;
        if !hello.is_some_and(|line| line.starts_with("1|RAC|")) {
            return Err(Halt("the adapter does not send its hello".to_owned()));
        }
        let line = init.line() + "\r\n";
        match self {
            Opening::ResetAfterHello => wire.reset(),
            Opening::Stranger => {
                send(
                    world,
                    &mut wire,
                    b"HTTP/1.1 400 Bad Request\r\n\r\n<html>",
                    random,
                )?;
                wire.finish();
                await_end(world, &mut wire)?;
            }
            Opening::ResetInInit => {
                let cut = random.between(1, line.len() - 2);
                send(world, &mut wire, &line.as_bytes()[..cut], random)?;
                wire.reset();
            }
            Opening::ResetAfterInit => {
                send(world, &mut wire, line.as_bytes(), random)?;
                wire.reset();
            }
            Opening::TooEarly => {
                send(
                    world,
                    &mut wire,
                    b"7|NUM|S|#|S|S1|S|CHAT%7Cearly\r\n8|SUB|S|chat_room\r\n",
                    random,
                )?;
                await_end(world, &mut wire)?;
            }
            Opening::TurnAway => {
                send(
                    world,
                    &mut wire,
                    b"0|CLOSE|S|reason|S|wrong+credentials\r\n",
                    random,
                )?;
                await_end(world, &mut wire)?;
            }
            Opening::FinishAfterHello => {
                wire.finish();
                await_end(world, &mut wire)?;
            }
            Opening::Proper => {
                let before: [&[u8]; 5] = [
                    b"",
                    b"",
                    b"\xef\xbb\xbf",
                    b"\r\n \r\n",
                    b"a stranger's line\r\n",
                ];
                let bytes = [random.pick(&before), line.as_bytes()].concat();
                send(world, &mut wire, &bytes, random)?;
                let answer = await_line(world, &mut wire)?;
                if answer != init.answer_line() {
                    return Err(Halt(format!("{line:?} was answered {answer:?}")));
                }
                return Ok(Some(wire));
            }
            Opening::ResetAtOnce => {}
        }
        Ok(None)
    }
}

/// Sends all of it, in one piece or torn.
fn send(world: &World, wire: &mut Wire, bytes: &[u8], random: &mut Random) -> Run<()> {
    let size = if random.chance(30) { 7 } else { bytes.len() };
    for mut piece in bytes.chunks(size) {
        while !piece.is_empty() {
            world.wait(Duration::ZERO)?;
            wire.transfer(&mut piece, false, Duration::from_millis(50))?;
        }
    }
    Ok(())
}

/// The next line; `None` when the adapter ends the connection.
fn await_line(world: &World, wire: &mut Wire) -> Run<Option<String>> {
    let until = Instant::now() + PROMPT;
    loop {
        if let Some(line) = wire.line() {
            return Ok(Some(line));
        }
        if wire.end().is_some() {
            return Ok(None);
        }
        if Instant::now() > until {
            return Err(Halt(format!("the handshake stands still for {PROMPT:?}")));
        }
        world.wait(Duration::ZERO)?;
        wire.transfer(&mut &[][..], true, Duration::from_millis(50))?;
    }
}

/// Awaits the end, before which nothing may come.
fn await_end(world: &World, wire: &mut Wire) -> Run<()> {
    match await_line(world, wire)? {
        None => Ok(()),
        Some(line) => Err(Halt(format!("the end was due, and this came: {line}"))),
    }
}
