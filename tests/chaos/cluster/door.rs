//! How a server and the adapter come together, whichever of the two opens the connection.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::port::Port;
use crate::world::{Halt, Run, World};

/// One side's way to the adapter.
pub(crate) enum Door {
    /// The adapter calls this port.
    Called(Port, Backoff),
    /// The server calls the adapter there.
    Calls(SocketAddr),
}

impl Door {
    /// One that is called on a port of its own, or calls at `address`.
    pub(crate) fn new(is_called: bool, address: SocketAddr) -> Door {
        if !is_called {
            return Door::Calls(address);
        }
        let mut port = Port::reserve("a server of three");
        port.open();
        Door::Called(port, Backoff::new())
    }

    /// Whether the adapter opens the connection.
    pub(crate) fn is_called(&self) -> bool {
        matches!(self, Door::Called(..))
    }

    /// Where the connection is opened to.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Door::Called(port, _) => port.address(),
            Door::Calls(address) => *address,
        }
    }

    /// The next connection, which must come in time.
    pub(crate) fn next(&mut self, world: &World) -> Run<TcpStream> {
        match self {
            Door::Called(port, backoff) => {
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
            Door::Calls(address) => TcpStream::connect(*address)
                .map_err(|error| Halt(format!("the adapter does not listen: {error}"))),
        }
    }

    /// The last connection has ended, after it had served for so long; `None`: it never did.
    pub(crate) fn ended(&mut self, served: Option<Duration>) {
        if let Door::Called(_, backoff) = self {
            backoff.ended(served);
        }
    }
}
