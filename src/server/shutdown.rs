//! The ends that a connection in service comes to from outside: one request ends them all, and wakes every
//! wait and every blocked read; and a Proxy that connects again replaces its older connection, which may
//! look alive for half a minute more (section 9 of the protocol).

use super::disconnect::Disconnect;
use super::heartbeat::Heartbeat;
use super::waker::Waker;
use crate::ari::Side;
use crate::ari::parameters::Parameters;
use crate::provider::lock;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Shared by all connections that are stopped together.
#[derive(Debug, Default)]
pub struct Shutdown {
    is_requested: AtomicBool,
    /// The connections in service, whose queues are to be written out.
    serving: Mutex<Vec<Served>>,
    /// The end was requested, or a connection has ended.
    changed: Condvar,
}

/// What is known of one of them.
#[derive(Debug)]
struct Served {
    waker: Arc<Waker>,
    /// The Proxy that it serves, or is about to serve when older connections have ended; `None` before its
    /// init, and when it serves no more.
    identity: Option<Identity>,
}

impl Shutdown {
    /// Whether the end was requested.
    pub fn is_requested(&self) -> bool {
        self.is_requested.load(Ordering::SeqCst)
    }

    /// Waits; says whether the end was requested meanwhile.
    pub fn wait(&self, time: Duration) -> bool {
        self.wait_while(time, |_| !self.is_requested())
    }

    /// Waits until the end is requested.
    pub fn wait_for_request(&self) {
        let is_running = |_: &mut Vec<_>| !self.is_requested();
        drop(self.changed.wait_while(lock(&self.serving), is_running));
    }

    /// Announces a connection in service, until what it returns is dropped.
    pub fn serving(self: &Arc<Self>, waker: &Arc<Waker>) -> Serving {
        lock(&self.serving).push(Served {
            waker: Arc::clone(waker),
            identity: None,
        });
        if self.is_requested() {
            waker.wake();
        }
        Serving {
            shutdown: Arc::clone(self),
            waker: Arc::clone(waker),
        }
    }

    /// Requests the end: no connection reads on, nobody waits on.
    pub fn request(&self) {
        // Under the lock: whoever is about to wait has not looked yet, or is woken.
        let serving = lock(&self.serving);
        self.is_requested.store(true, Ordering::SeqCst);
        for served in serving.iter() {
            served.waker.wake();
        }
        self.changed.notify_all();
    }

    /// Waits until every connection in service has written out what it had to; says whether that
    /// was before the deadline.
    pub fn wait_for_connections(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        self.wait_while(left, |serving| !serving.is_empty())
    }

    /// Waits for as long as something holds; says whether that is over in time.
    fn wait_while(&self, time: Duration, holds: impl Fn(&mut Vec<Served>) -> bool) -> bool {
        let serving = lock(&self.serving);
        let waited = self.changed.wait_timeout_while(serving, time, holds);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// A connection in service, until this is dropped: whoever waits for the end waits for the account of its
/// losses, too.
#[derive(Debug)]
pub struct Serving {
    shutdown: Arc<Shutdown>,
    /// What ends it from outside.
    pub waker: Arc<Waker>,
}

impl Serving {
    /// Begins to serve a Proxy by this connection, whose name is given, when an older connection of the
    /// same one has ended, which is told to.
    ///
    /// # Errors
    /// [`Disconnect`], when that takes more than 5 s, or when this one was ended meanwhile, alone or with
    /// all others.
    pub fn enter(
        &self,
        identity: Identity,
        name: &str,
        heartbeat: &Heartbeat,
    ) -> Result<(), Disconnect> {
        let (deadline, since) = (Instant::now() + END, self.waker.since);
        let is_same = |other: &&Served| {
            !Arc::ptr_eq(&other.waker, &self.waker) && other.identity.as_ref() == Some(&identity)
        };
        let mut serving = lock(&self.shutdown.serving);
        // What a Proxy has said on a connection that it gave up may come late.
        let is_later = |other: &Served| other.waker.since > since;
        if serving.iter().filter(is_same).any(is_later) {
            return Err(Disconnect::Replaced("a later connection".into()));
        }
        // At once, so that one which comes still later knows of this one.
        self.set_identity(&mut serving, Some(identity.clone()));
        loop {
            let others = serving.iter().filter(is_same);
            let older: Vec<_> = others.filter(|other| !is_later(other)).collect();
            if older.is_empty() {
                return Ok(());
            }
            for older in older {
                older.waker.end(Disconnect::Replaced(name.into()));
            }
            heartbeat.beat();
            let time = heartbeat.at_most(RECHECK);
            let waited = self.shutdown.changed.wait_timeout(serving, time);
            (serving, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if let Some(reason) = self.waker.take_reason() {
                return Err(reason);
            }
            if self.shutdown.is_requested() {
                return Err(Disconnect::Stopping);
            }
            if Instant::now() >= deadline {
                return Err(Disconnect::NotReplaced);
            }
        }
    }

    /// The same Proxy may be served by another connection.
    pub fn leave(&self) {
        self.set_identity(&mut lock(&self.shutdown.serving), None);
        self.shutdown.changed.notify_all();
    }

    fn set_identity(&self, serving: &mut [Served], identity: Option<Identity>) {
        let mut serving = serving.iter_mut();
        if let Some(own) = serving.find(|it| Arc::ptr_eq(&it.waker, &self.waker)) {
            own.identity = identity;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        lock(&self.shutdown.serving).retain(|served| !Arc::ptr_eq(&served.waker, &self.waker));
        self.shutdown.changed.notify_all();
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
        let shutdown = Arc::<Shutdown>::default();
        let waker = || Arc::new(Waker::new().unwrap());
        let heartbeat = Heartbeat::new(None);
        let enter = |identity: Identity, waker: &Arc<Waker>| {
            let serving = shutdown.serving(waker);
            let entered = serving.enter(identity, "the later one", &heartbeat);
            entered.map(|()| serving)
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
            while lock(&shutdown.serving).len() < 4 {
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
        let shutdown = Arc::<Shutdown>::default();
        let enter = || {
            let serving = shutdown.serving(&Arc::new(Waker::new().unwrap()));
            let identity = identity("one", Side::Data);
            let entered = serving.enter(identity, "another", &Heartbeat::new(None));
            entered.map(|()| serving)
        };
        let _serving = enter().unwrap();
        let refused = enter().unwrap_err();
        assert!(matches!(refused, Disconnect::NotReplaced), "{refused}");
        assert_eq!(lock(&shutdown.serving).len(), 1, "who waited is gone");
        // Nor at the end of all.
        shutdown.request();
        let refused = enter().unwrap_err();
        assert!(matches!(refused, Disconnect::Stopping), "{refused}");
    }
}
