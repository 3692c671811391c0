//! From a host's name to its addresses.
//!
//! The system's resolver blocks for as long as no name server answers, which may be minutes. So a
//! thread of its own asks it; the one that waits shows that it is alive, and stops when it is told to.

use super::config::Context;
use super::disconnect::Disconnect;
use crossbeam_channel::bounded;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

/// Who waits for the resolver looks so often whether to stop.
const RECHECK: Duration = Duration::from_millis(100);

/// After so long a wait an operator is told.
const LOG_AFTER: Duration = Duration::from_secs(30);

/// Looks up the addresses of a host, for as long as the system's resolver takes.
///
/// # Errors
/// [`Disconnect::Resolve`], and [`Disconnect::Stopping`] when the end is requested meanwhile.
pub fn resolve(host: &str, port: u16, context: &Context) -> Result<Vec<SocketAddr>, Disconnect> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let host = host.to_owned();
    let ask = move || addresses(&host, port);
    wait_for(ask, context)
}

/// The addresses of a host. `localhost` has some even where there is no resolver to ask, as in
/// an empty root directory. Waits for the resolver.
///
/// # Errors
/// Those of the resolver.
pub fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(_) if host.eq_ignore_ascii_case("localhost") => Ok(vec![
            (Ipv4Addr::LOCALHOST, port).into(),
            (Ipv6Addr::LOCALHOST, port).into(),
        ]),
        Err(error) => Err(error),
    }
}

fn wait_for(
    ask: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
    context: &Context,
) -> Result<Vec<SocketAddr>, Disconnect> {
    let (answer, answered) = bounded(1);
    thread::Builder::new()
        .name("resolver".into())
        .spawn(move || answer.send(ask()))
        .map_err(Disconnect::Resolve)?;
    let (heartbeat, start) = (&context.status.reader, Instant::now());
    let mut is_logged = false;
    loop {
        heartbeat.beat();
        if let Ok(addresses) = answered.recv_timeout(heartbeat.at_most(RECHECK)) {
            return addresses.map_err(Disconnect::Resolve);
        }
        if context.config.shutdown.is_requested() {
            return Err(Disconnect::Stopping);
        }
        if !is_logged && start.elapsed() >= LOG_AFTER {
            is_logged = true;
            let seconds = LOG_AFTER.as_secs();
            context.connection.warn(format_args!(
                "the host's name is being looked up for {seconds} s now; does the name service answer?"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::*;
    use crate::provider::Connection;
    use std::sync::Arc;

    /// That of a connection whose threads have to give a heartbeat so often, if at all.
    fn context(heartbeat: Option<Duration>) -> Context {
        let config = Config {
            heartbeat,
            ..Config::default()
        };
        let connection = Connection::new("data".into());
        Context::new(&Arc::new(config), connection, Arc::default(), None)
    }

    fn resolve_now(host: &str) -> Result<Vec<SocketAddr>, Disconnect> {
        resolve(host, 80, &context(None))
    }

    #[test]
    fn literals_of_both_families_resolve() {
        for (host, address) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")] {
            assert_eq!(resolve_now(host).unwrap(), [address.parse().unwrap()]);
        }
    }

    #[test]
    fn a_name_without_address_is_an_error() {
        let error = resolve_now("no-such-host.invalid").unwrap_err();
        assert!(matches!(error, Disconnect::Resolve(_)), "{error}");
    }

    #[test]
    fn a_slow_resolver_is_waited_for_by_a_thread_that_is_alive_and_stops_when_told_to() {
        let context = context(Some(Duration::from_millis(10)));
        let heartbeat = &context.status.reader;
        let (never, silent) = bounded::<()>(0);
        thread::scope(|scope| {
            let ask = move || {
                let _ = silent.recv();
                Ok(Vec::new())
            };
            let waiting = scope.spawn(|| wait_for(ask, &context));
            let mut due = heartbeat.due();
            for _ in 0..5 {
                let start = Instant::now();
                while heartbeat.due() == due {
                    assert!(start.elapsed() < Duration::from_secs(20), "no heartbeat");
                    thread::yield_now();
                }
                due = heartbeat.due();
            }
            assert!(!waiting.is_finished());
            context.config.shutdown.request();
            let result = waiting.join().unwrap();
            assert!(matches!(result, Err(Disconnect::Stopping)), "{result:?}");
        });
        drop(never);
    }
}
