//! Where Proxies connect to us: addresses of this host, and what must guard them.

use super::resolve::addresses;
use crate::ari::escape::Escaped;
use std::fmt::Display;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

/// An address to listen on, and the name or address that stands for it.
pub type Place<'a> = (&'a str, SocketAddr);

/// The addresses that these names and addresses of this host stand for. `is_guarded`: not everybody is
/// let in who reaches them.
///
/// # Errors
/// What is wrong, in a line that names the option.
pub fn resolve(names: &[String], port: u16, is_guarded: bool) -> Result<Vec<Place<'_>>, String> {
    let mut places = Vec::new();
    for name in names {
        let found = addresses(name, port);
        let found = found.map_err(|e| wrong(name, format_args!("it has no address: {e}")))?;
        let is_open = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
        if let Some(open) = found.iter().find(is_open).filter(|_| !is_guarded) {
            let what = format_args!(
                "whoever reaches {} could hear everything and speak for anybody: give --allow \
                 NETWORK, or --tls with --tls-cert, --tls-key and --tls-client-ca, or both",
                open.ip()
            );
            return Err(wrong(name, what));
        }
        places.extend(found.into_iter().map(|address| (name.as_str(), address)));
    }
    Ok(places)
}

/// Listens there. An address may be given twice, also by one that stands for all.
///
/// # Errors
/// What is wrong, in a line that names the option.
pub fn listen(mut places: Vec<Place<'_>>) -> Result<Vec<TcpListener>, String> {
    // First those that stand for all, and of them that of IPv6, which has the others in it.
    places.sort_by_key(|(_, address)| (!address.ip().is_unspecified(), address.is_ipv4()));
    let (mut listeners, mut open, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for (name, address) in places {
        let is_open = || open.iter().any(|(_, own)| covers(own, &address));
        match TcpListener::bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_open() => {}
            Err(error) => {
                let what = wrong(name, format_args!("{address}: {error}"));
                match error.kind() {
                    ErrorKind::AddrNotAvailable => missing.push((name, what)),
                    _ => return Err(what),
                }
                continue;
            }
        }
        open.push((name, address));
    }
    // A name may stand for an address of a family that this host does not have as well.
    let is_open = |name| open.iter().any(|(other, _)| *other == name);
    match missing.into_iter().find(|(name, _)| !is_open(*name)) {
        Some((_, what)) => Err(what),
        None => Ok(listeners),
    }
}

fn wrong(name: &str, what: impl Display) -> String {
    format!("--listen {}: {what}", Escaped(name.as_bytes()))
}

/// Whether who listens on `own` is reached at this address, as far as it is one of this host.
fn covers(own: &SocketAddr, address: &SocketAddr) -> bool {
    let is_any = own.ip().is_unspecified() && (own.is_ipv6() || address.is_ipv4());
    own.port() == address.port()
        && (is_any || own.ip().to_canonical() == address.ip().to_canonical())
}

/// Where a connection to this address goes: to no address in particular, it goes to this host.
fn reached(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// What an adapter listens on and what it connects to, for both sides.
#[derive(Clone, Debug, Default)]
pub struct Places {
    listened: Vec<SocketAddr>,
    called: Vec<SocketAddr>,
}

impl Places {
    /// Adds those of one side: hosts that are called are known by name and port.
    ///
    /// # Errors
    /// A server to connect to is this adapter itself, as far as that can be said without asking a name
    /// service. Then nothing is added.
    pub fn add<'a>(
        &mut self,
        listened: impl IntoIterator<Item = SocketAddr>,
        called: impl IntoIterator<Item = (&'a str, u16)>,
    ) -> Result<(), String> {
        let mut all = self.clone();
        all.listened.extend(listened);
        for (host, port) in called {
            // To ask a name service may take minutes, which a start must not.
            let is_number = host.bytes().all(|it| it.is_ascii_digit() || it == b'.'); // such as 127.1
            let is_known = is_number || host.eq_ignore_ascii_case("localhost");
            if is_known || host.parse::<IpAddr>().is_ok() {
                let addresses = addresses(host, port).into_iter().flatten();
                all.called.extend(addresses.map(reached));
            }
        }
        let is_own = |it: &&SocketAddr| all.listened.iter().any(|own| covers(own, it));
        let is_this_host = |it: &&SocketAddr| UdpSocket::bind((it.ip(), 0)).is_ok();
        let mut own = all.called.iter().filter(is_own);
        if let Some(own) = own.find(is_this_host) {
            return Err(format!("{own} is this adapter itself, by --listen"));
        }
        *self = all;
        Ok(())
    }
}
