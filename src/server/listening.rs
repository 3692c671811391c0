//! Where Proxies connect to us: addresses of this host, and what must guard them.

use super::host::Host;
use super::resolve::addresses;
use crate::ari::Side;
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

/// Adds listeners on these addresses, of which one at least must be there, to those that there are;
/// an address may be among them already. `name` is for errors.
///
/// # Errors
/// What is wrong, in a line that names the option.
pub fn listen(
    name: &str,
    found: &[SocketAddr],
    listeners: &mut Vec<TcpListener>,
) -> Result<(), String> {
    let shown = Escaped(name.as_bytes());
    let (mut is_there, mut missing) = (false, None);
    for &address in found {
        let is_same = |other: &TcpListener| other.local_addr().is_ok_and(|own| own == address);
        if listeners.iter().any(is_same) {
            is_there = true;
            continue;
        }
        match TcpListener::bind(address) {
            Ok(listener) => {
                listeners.push(listener);
                is_there = true;
            }
            // A name may stand for an address of a family that this host does not have.
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                missing = Some((address, error));
            }
            Err(error) => return Err(format!("--listen {shown}: {address}: {error}")),
        }
    }
    match missing {
        Some((address, error)) if !is_there => Err(format!("--listen {shown}: {address}: {error}")),
        _ => Ok(()),
    }
}

/// What an adapter listens on and what it connects to, for both sides.
#[derive(Debug, Default)]
pub struct Places {
    listened: Vec<SocketAddr>,
    called: Vec<(Host, Side, u16)>,
}

impl Places {
    /// Adds those of one side; `port` is that of servers without ports of their own.
    ///
    /// # Errors
    /// A server to connect to is this adapter itself, as far as that can be said without asking a name
    /// service.
    pub fn add(
        &mut self,
        side: Side,
        port: u16,
        listened: impl IntoIterator<Item = SocketAddr>,
        hosts: &[Host],
    ) -> Result<(), String> {
        self.listened.extend(listened);
        let called = hosts.iter().map(|host| (host.clone(), side, port));
        self.called.extend(called);
        let is_own = |(host, side, port): &&(Host, Side, u16)| self.is_own(host, *side, *port);
        match self.called.iter().find(is_own) {
            Some((host, side, port)) => {
                let address = host.address(*side, *port);
                Err(format!("{address} is this adapter itself, by --listen"))
            }
            None => Ok(()),
        }
    }

    fn is_own(&self, host: &Host, side: Side, port: u16) -> bool {
        // To ask a name service may take minutes, which a start must not.
        if host.name.parse::<IpAddr>().is_err() && host.name != "localhost" {
            return false;
        }
        let called = addresses(&host.name, host.port(side, port)).unwrap_or_default();
        let is_same = |called: &SocketAddr, own: &SocketAddr| {
            let is_this_host = || UdpSocket::bind((called.ip(), 0)).is_ok();
            own.port() == called.port()
                && (own.ip().to_canonical() == called.ip().to_canonical()
                    || own.ip().is_unspecified()
                        && (own.is_ipv6() || called.is_ipv4())
                        && is_this_host())
        };
        let is_listened_on = |it: &SocketAddr| self.listened.iter().any(|own| is_same(it, own));
        called.iter().any(is_listened_on)
    }
}
