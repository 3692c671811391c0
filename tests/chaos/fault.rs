//! How a connection that serves comes to its end.

use std::time::Duration;

use crate::port::Port;
use crate::proxy::Proxy;
use crate::random::Random;
use crate::standin::Init;
use crate::world::Run;

/// One end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A reset.
    Reset,
    /// The Proxy ends its stream.
    Finish,
    /// A reset in the middle of a line.
    TornReset,
    /// An end in the middle of a line.
    TornFinish,
    /// The Proxy sends CLOSE.
    Close,
    /// The Proxy breaks the rules.
    SecondInit,
    /// The server goes, and comes back after a while.
    Restart,
}

impl Fault {
    /// Draws one.
    pub(crate) fn draw(random: &mut Random) -> Self {
        use Fault::*;
        random.pick(&[
            Reset, Finish, TornReset, TornFinish, Close, SecondInit, Restart,
        ])
    }

    /// Ends the connection. Yields whether that was in good order, so that all that was queued has come; and for how
    /// long connections were refused.
    pub(crate) fn run(
        self,
        mut proxy: Proxy<'_>,
        port: &mut Port,
        init: &Init,
        random: &mut Random,
    ) -> Run<(bool, Duration)> {
        let world = proxy.world;
        proxy.allow_end();
        let mut away = Duration::ZERO;
        match self {
            Fault::TornReset | Fault::TornFinish => {
                let torn: [&[u8]; 4] = [
                    b"7f|NUM|S|#|S|S1|S|CHAT%7",
                    b"7f|",
                    b"\r",
                    b"7f|SUB|S|chat_room",
                ];
                proxy.send(random.pick(&torn))?;
            }
            Fault::Close => proxy.send(b"0|CLOSE|S|reason|S|chaos\r\n")?,
            Fault::SecondInit => proxy.send((init.line() + "\r\n").as_bytes())?,
            Fault::Restart => port.close(),
            Fault::Reset | Fault::Finish => {}
        }
        match self {
            Fault::Reset | Fault::TornReset => proxy.reset(),
            Fault::Restart if random.chance(50) => proxy.reset(),
            Fault::Finish | Fault::TornFinish | Fault::Restart => {
                proxy.finish();
                proxy.read_to_any_end()?;
            }
            Fault::Close | Fault::SecondInit => {
                proxy.read_to_the_end()?;
                return Ok((true, away));
            }
        }
        if self == Fault::Restart {
            away = random.millis(30, 500);
            world.wait(away)?;
            port.open();
        }
        Ok((false, away))
    }
}
