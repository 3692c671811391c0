//! The Proxies in service, by what they call themselves. One that connects again replaces its older
//! connection, which may look alive for half a minute more (section 9 of the protocol).

use super::disconnect::Disconnect;
use super::heartbeat::Heartbeat;
use super::waker::Waker;
use crate::ari::Side;
use crate::ari::parameters::Parameters;
use crate::provider::lock;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an older connection may take to end.
const END: Duration = Duration::from_secs(5);

/// Who waits for it looks so often whether to go on.
const RECHECK: Duration = Duration::from_millis(500);

/// What a Proxy calls itself in its init.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    side: Side,
    instance: String,
    data_provider: Option<String>,
}

impl Identity {
    /// That of the Proxy that sent these parameters; `None`: it has none, and is never the same.
    pub fn of(side: Side, parameters: &Parameters<'_>) -> Option<Identity> {
        let get = |name| parameters.get(name).map(String::from);
        Some(Identity {
            side,
            instance: get("proxy.instance_id").filter(|id| !id.is_empty())?,
            data_provider: get("data_provider.name"),
        })
    }
}

/// The Proxies in service.
#[derive(Debug, Default)]
pub struct ServedProxies {
    served: Mutex<Vec<Served>>,
    /// One of them has ended.
    ended: Condvar,
}

/// One of them, or one that waits until older connections have ended, in the order in which they came.
#[derive(Debug)]
struct Served {
    identity: Identity,
    waker: Arc<Waker>,
}

impl ServedProxies {
    /// Begins to serve a Proxy by the connection of this name, when an older connection of the same
    /// one has ended, which is told to.
    ///
    /// # Errors
    /// [`Disconnect`], when that takes more than 5 s, or when this one was ended meanwhile, or is to end
    /// since all are (`is_stopping`).
    pub fn enter(
        self: &Arc<Self>,
        identity: Identity,
        waker: &Arc<Waker>,
        name: &str,
        heartbeat: &Heartbeat,
        is_stopping: impl Fn() -> bool,
    ) -> Result<Place, Disconnect> {
        let deadline = Instant::now() + END;
        // Where this ends early, the place is free again after the lock is.
        let place = Place {
            proxies: Arc::clone(self),
            waker: Arc::clone(waker),
        };
        let mut served = lock(&self.served);
        // What a Proxy has said on a connection that it gave up may come late.
        let is_later =
            |other: &Served| other.identity == identity && other.waker.since() > waker.since();
        if served.iter().any(is_later) {
            return Err(Disconnect::Replaced("a later connection".into()));
        }
        // At once, so that one which comes still later knows of this one.
        served.push(Served {
            identity: identity.clone(),
            waker: Arc::clone(waker),
        });
        loop {
            let others = served.iter();
            let others = others.take_while(|other| !Arc::ptr_eq(&other.waker, waker));
            let older: Vec<_> = others.filter(|other| other.identity == identity).collect();
            if older.is_empty() {
                return Ok(place);
            }
            for older in older {
                older.waker.end(Disconnect::Replaced(name.into()));
            }
            heartbeat.beat();
            let time = heartbeat.at_most(RECHECK);
            let waited = self.ended.wait_timeout(served, time);
            (served, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if let Some(reason) = waker.take_reason() {
                return Err(reason);
            }
            if is_stopping() {
                return Err(Disconnect::Stopping);
            }
            if Instant::now() >= deadline {
                return Err(Disconnect::NotReplaced);
            }
        }
    }
}

/// The place of a connection that serves a Proxy; free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    proxies: Arc<ServedProxies>,
    waker: Arc<Waker>,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.proxies.served).retain(|served| !Arc::ptr_eq(&served.waker, &self.waker));
        self.proxies.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(instance: &str, side: Side) -> Identity {
        Identity {
            side,
            instance: instance.into(),
            data_provider: None,
        }
    }

    #[test]
    fn the_same_proxy_waits_for_its_older_connection_and_others_do_not() {
        let proxies = Arc::<ServedProxies>::default();
        let waker = || Arc::new(Waker::new().unwrap());
        let heartbeat = Heartbeat::new(None);
        let enter = |identity: Identity, waker: &Arc<Waker>| {
            proxies.enter(identity, waker, "the later one", &heartbeat, || false)
        };
        let (first, second) = (waker(), waker());
        let place = enter(identity("one", Side::Data), &first).unwrap();
        let _others = [("one", Side::Metadata), ("two", Side::Data)]
            .map(|(name, side)| enter(identity(name, side), &waker()).unwrap());
        assert!(!first.is_ended());
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| enter(identity("one", Side::Data), &second).unwrap());
            while !first.is_ended() {
                std::thread::yield_now();
            }
            let reason = first.take_reason().unwrap();
            assert!(matches!(reason, Disconnect::Replaced(by) if by == "the later one"));
            assert!(!entered.is_finished());
            drop(place);
            drop(entered.join().unwrap());
        });
        // The one that came last comes in, whoever waits.
        let (waits, last) = (waker(), waker());
        let place = enter(identity("one", Side::Data), &first).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| enter(identity("one", Side::Data), &waits));
            while lock(&proxies.served).len() < 4 {
                std::thread::yield_now();
            }
            let entered = scope.spawn(|| enter(identity("one", Side::Data), &last).unwrap());
            let refused = waiting.join().unwrap().unwrap_err();
            assert!(matches!(refused, Disconnect::Replaced(_)), "{refused}");
            assert!(!entered.is_finished());
            drop(place);
            drop(entered.join().unwrap());
        });
        // Who is ended while it waits does not come in.
        let served = waker();
        let _place = enter(identity("one", Side::Data), &served).unwrap();
        let third = waker();
        third.end(Disconnect::Closed);
        served.take_reason();
        let refused = enter(identity("one", Side::Data), &third).unwrap_err();
        assert!(matches!(refused, Disconnect::Closed));
        // Nor does one that was opened before the one that serves.
        let refused = enter(identity("one", Side::Data), &second).unwrap_err();
        assert!(matches!(refused, Disconnect::Replaced(_)));
    }

    #[test]
    fn a_connection_that_does_not_end_is_not_waited_for_long() {
        let proxies = Arc::<ServedProxies>::default();
        let enter = |is_stopping: bool| {
            let waker = Arc::new(Waker::new().unwrap());
            let heartbeat = Heartbeat::new(None);
            let identity = identity("one", Side::Data);
            proxies.enter(identity, &waker, "another", &heartbeat, || is_stopping)
        };
        let _place = enter(false).unwrap();
        let refused = enter(true).unwrap_err();
        assert!(matches!(refused, Disconnect::Stopping), "{refused}");
        let refused = enter(false).unwrap_err();
        assert!(matches!(refused, Disconnect::NotReplaced), "{refused}");
        assert_eq!(lock(&proxies.served).len(), 1, "who waited is gone");
    }
}
