//! Taking in connections, for good.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::show::Show;

/// What the system is short of may come back without any of our own connections ending.
const PATIENCE: Duration = Duration::from_secs(1);

/// The next connection. `name` is the listener's, for the case that it cannot be taken in; then this waits for one that
/// has ended, of which `freed` tells.
pub(crate) fn accept(
    listener: &TcpListener,
    name: &str,
    freed: &Receiver<()>,
    show: Show,
) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept() {
            Ok(accepted) => return accepted,
            Err(error) => match error.kind() {
                // It went away before it was taken in.
                ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                _ => {
                    show.note(&format!("{name}: cannot accept: {error}"));
                    let _ = freed.recv_timeout(PATIENCE); // tried again in any case
                }
            },
        }
    }
}
