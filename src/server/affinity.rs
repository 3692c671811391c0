//! Server affinity: the connections of one adapter stay with one server, where the host's name stands
//! for several.
//!
//! Messages come in on one connection and go out on another. With two servers they would reach the
//! wrong room, and nobody would know.

use super::disconnect::Disconnect;
use super::waker::Waker;
use crate::provider::lock;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// What the connections to one server know of each other.
#[derive(Clone, Debug, Default)]
pub struct Affinity(Arc<Mutex<Vec<State>>>);

impl Affinity {
    /// Adds a connection, which the log knows by this name.
    pub fn add(&self, name: &str) -> Member {
        let mut members = lock(&self.0);
        members.push(State {
            name: name.into(),
            ..State::default()
        });
        Member {
            affinity: self.clone(),
            index: members.len() - 1,
        }
    }
}

/// What is known of one of the connections.
#[derive(Debug, Default)]
struct State {
    name: String,
    /// Where it is connected to, and what wakes its reader.
    connected: Option<(SocketAddr, Arc<Waker>)>,
    /// Its init came, and is that of the same server.
    is_served: bool,
    /// The server's instance by that init, if it names one.
    instance: Option<String>,
    /// The address that served last.
    last: Option<SocketAddr>,
    /// Addresses of other servers than the one that serves.
    avoided: Vec<SocketAddr>,
}

impl State {
    fn served_at(&self) -> Option<SocketAddr> {
        let connected = self.connected.as_ref().filter(|_| self.is_served);
        connected.map(|(address, _)| *address)
    }
}

/// One of the connections.
#[derive(Clone, Debug)]
pub struct Member {
    affinity: Affinity,
    index: usize,
}

impl Member {
    /// Calls `f` with what is known of this connection and of the others.
    fn with<T>(&self, f: impl FnOnce(&mut State, &mut [State]) -> T) -> T {
        let mut members = lock(&self.affinity.0);
        // What is left in its place is connected to nothing.
        let mut own = mem::take(&mut members[self.index]);
        let result = f(&mut own, &mut members);
        members[self.index] = own;
        result
    }

    /// The addresses of the host in the order in which to try them: where another connection is
    /// served, whether or not the name has that address now; what served this one last; the rest.
    pub fn order(&self, port: u16, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        self.with(|own, others| {
            let mut served: Vec<_> = others.iter().filter_map(State::served_at).collect();
            served.iter_mut().for_each(|address| address.set_port(port));
            served.dedup();
            if served.is_empty() {
                own.avoided.clear();
            }
            let passed_over = [&served[..], &own.avoided].concat();
            addresses.retain(|address| !passed_over.iter().any(|other| is_same(address, other)));
            let is_last =
                |address: &SocketAddr| own.last.is_some_and(|last| is_same(address, &last));
            let (last, rest): (Vec<_>, Vec<_>) = addresses.into_iter().partition(is_last);
            [served, last, rest].concat()
        })
    }

    /// The connection is open. Its reader is to be woken when it is superseded.
    pub fn connected(&self, address: SocketAddr, waker: Arc<Waker>) {
        self.with(|own, _| own.connected = Some((address, waker)));
    }

    /// An init came, which names the server's instance or does not. Two instances on one address: the
    /// server was restarted, and an older connection is superseded.
    ///
    /// # Errors
    /// [`Disconnect::OtherServer`], when another connection is served by an instance at another
    /// address. This one's is avoided as long as that is so.
    pub fn init(&self, instance: Option<&str>) -> Result<(), Disconnect> {
        self.with(|own, others| {
            let Some((address, _)) = own.connected else {
                return Ok(()); // a Proxy in memory
            };
            for other in others {
                let (Some(at), Some((_, waker))) = (other.served_at(), &other.connected) else {
                    continue;
                };
                match (other.instance.as_deref(), instance) {
                    (Some(theirs), Some(ours)) if theirs != ours => {}
                    _ => continue,
                }
                if is_same(&at, &address) {
                    waker.end(Disconnect::Superseded(own.name.clone()));
                    other.is_served = false;
                } else {
                    own.avoided.push(address);
                    let by = other.name.clone();
                    return Err(Disconnect::OtherServer { address, at, by });
                }
            }
            own.is_served = true;
            own.instance = instance.map(Into::into);
            Ok(())
        })
    }

    /// The connection has ended; `has_served`: it had answered an init.
    pub fn ended(&self, has_served: bool) {
        self.with(|own, _| {
            own.is_served = false;
            let connected = own.connected.take().filter(|_| has_served);
            own.last = connected.map(|(address, _)| address).or(own.last);
        });
    }
}

/// Whether both are of one host, whatever the ports.
fn is_same(one: &SocketAddr, other: &SocketAddr) -> bool {
    one.ip().to_canonical() == other.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 8001;

    fn at(host: u8, port: u16) -> SocketAddr {
        ([192, 0, 2, host], port).into()
    }

    /// Two connections, of which the first is served by instance `a` at host 1.
    fn pair() -> (Member, Member) {
        let affinity = Affinity::default();
        let (metadata, data) = (affinity.add("metadata"), affinity.add("data"));
        connect(&metadata, at(1, 8003));
        metadata.init(Some("a")).unwrap();
        (metadata, data)
    }

    fn connect(member: &Member, address: SocketAddr) {
        member.connected(address, Arc::new(Waker::new().unwrap()));
    }

    /// Why it was ended by another connection, if it was.
    fn reason(member: &Member) -> Option<Disconnect> {
        member.with(|own, _| own.connected.as_ref()?.1.take_reason())
    }

    fn order(member: &Member, of: &[u8]) -> Vec<SocketAddr> {
        member.order(PORT, hosts(of))
    }

    fn hosts(hosts: &[u8]) -> Vec<SocketAddr> {
        hosts.iter().map(|&host| at(host, PORT)).collect()
    }

    #[test]
    fn first_where_another_connection_is_served_then_where_this_one_was() {
        let (metadata, data) = pair();
        assert_eq!(order(&data, &[3, 2, 1]), hosts(&[1, 3, 2]));
        // A name service may name one address at a time.
        assert_eq!(order(&data, &[2]), hosts(&[1, 2]));
        connect(&data, at(2, PORT));
        data.init(None).unwrap();
        data.ended(true);
        assert_eq!(order(&data, &[3, 2, 1]), hosts(&[1, 2, 3]));
        // One that did not come to serve is no better than others.
        connect(&data, at(3, PORT));
        data.ended(false);
        metadata.ended(true);
        assert_eq!(order(&data, &[3, 1, 2]), hosts(&[2, 3, 1]));
        // What the name does not stand for any more is not tried.
        assert_eq!(order(&data, &[3, 1]), hosts(&[3, 1]));
    }

    #[test]
    fn of_two_servers_the_later_one_is_avoided_while_the_other_serves() {
        let (metadata, data) = pair();
        connect(&data, at(2, PORT));
        let error = data.init(Some("b")).unwrap_err();
        assert!(matches!(error, Disconnect::OtherServer { .. }), "{error}");
        data.ended(false);
        assert!(reason(&metadata).is_none());
        assert_eq!(order(&data, &[2, 1, 3]), hosts(&[1, 3]));
        // Or as what it may come in IPv6.
        let mapped = "[::ffff:192.0.2.2]:8001".parse().unwrap();
        assert_eq!(data.order(PORT, vec![mapped]), hosts(&[1]));
        // The other has moved there.
        metadata.ended(true);
        connect(&metadata, at(2, 8003));
        metadata.init(Some("b")).unwrap();
        assert_eq!(order(&data, &[2, 1]), hosts(&[2, 1]));
        metadata.ended(true);
        assert_eq!(order(&data, &[2, 1]), hosts(&[2, 1]));
    }

    #[test]
    fn one_address_with_two_instances_is_a_server_that_was_restarted() {
        for mapped in ["192.0.2.1:8001", "[::ffff:192.0.2.1]:8001"] {
            let (metadata, data) = pair();
            connect(&data, mapped.parse().unwrap());
            data.init(Some("b")).unwrap();
            let ended_by = reason(&metadata).unwrap();
            assert!(matches!(&ended_by, Disconnect::Superseded(by) if by == "data"));
            assert!(reason(&data).is_none());
            // The older one comes back to the server of now, and has nothing against it.
            metadata.ended(true);
            connect(&metadata, at(1, 8003));
            assert!(reason(&metadata).is_none());
            metadata.init(Some("b")).unwrap();
            assert!(reason(&data).is_none());
        }
    }

    #[test]
    fn instances_that_are_equal_or_not_named_may_be_anywhere() {
        for instance in [Some("a"), None] {
            let (metadata, data) = pair();
            connect(&data, at(2, PORT));
            data.init(instance).unwrap();
            assert!(reason(&metadata).is_none());
            data.ended(true);
            assert_eq!(order(&data, &[3, 2]), hosts(&[1, 2, 3]));
        }
        let (metadata, data) = pair();
        metadata.ended(true);
        connect(&metadata, at(1, 8003));
        metadata.init(None).unwrap();
        connect(&data, at(2, PORT));
        data.init(Some("b")).unwrap();
    }
}
