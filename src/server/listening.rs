//! Where Proxies connect to us: addresses of this host, and what must guard them.

use super::host::Host;
use super::resolve::addresses;
use crate::ari::escape::Escaped;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

/// The addresses to listen on that an address or a name of this host stands for. `is_guarded`: not
/// everybody is let in who reaches them.
///
/// # Errors
/// What is wrong, in a line that names the option.
pub fn resolve(name: &str, port: u16, is_guarded: bool) -> Result<Vec<SocketAddr>, String> {
    let shown = Escaped(name.as_bytes());
    let found = addresses(name, port)
        .map_err(|error| format!("--listen {shown}: it has no address: {error}"))?;
    let is_open = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
    if let Some(open) = found.iter().find(is_open).filter(|_| !is_guarded) {
        return Err(format!(
            "--listen {shown}: whoever reaches {} could hear everything and speak for anybody: \
             give --allow NETWORK, or --tls with --tls-cert, --tls-key and --tls-client-ca, or both",
            open.ip()
        ));
    }
    Ok(found)
}

/// Listens on these addresses, of which one at least must be there; `name` is for errors.
///
/// # Errors
/// What is wrong, in a line that names the option.
pub fn listen(name: &str, found: Vec<SocketAddr>) -> Result<Vec<TcpListener>, String> {
    let shown = Escaped(name.as_bytes());
    let mut listeners = Vec::new();
    let mut missing = None;
    for address in found {
        match TcpListener::bind(address) {
            Ok(listener) => listeners.push(listener),
            // A name may stand for an address of a family that this host does not have.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                missing = Some((address, error));
            }
            Err(error) => return Err(format!("--listen {shown}: {address}: {error}")),
        }
    }
    match missing {
        Some((address, error)) if listeners.is_empty() => {
            Err(format!("--listen {shown}: {address}: {error}"))
        }
        _ => Ok(listeners),
    }
}

/// Whether a server to connect to is this adapter itself, as far as that can be said without asking a name
/// service; `port` is that on which it would be called.
pub fn is_own(host: &Host, port: u16, listeners: &[TcpListener]) -> bool {
    let is_known = host.name.parse::<IpAddr>().is_ok() || host.name == "localhost";
    let called = addresses(&host.name, port).ok().filter(|_| is_known);
    let mut called = called.unwrap_or_default().into_iter();
    called.any(|called| {
        listeners.iter().any(|listener| {
            let Ok(own) = listener.local_addr() else {
                return false;
            };
            let is_this_host = || UdpSocket::bind((called.ip(), 0)).is_ok();
            own.port() == called.port()
                && (own.ip().to_canonical() == called.ip().to_canonical()
                    || own.ip().is_unspecified() && is_this_host())
        })
    })
}
