//! What a Remote Data Adapter implements: the items that are wanted, and their events.

use super::connection::Connection;
use super::listener::ItemEventListener;
use crate::ari::parameters::Parameters;
use crate::ari::reply::ErrorKind;
use std::fmt;

/// Answers what a Proxy Data Adapter asks (section 7).
///
/// All methods but `set_listener` are called by one thread, in the order of the requests. A method that
/// blocks holds up that connection, keepalives aside, and no other.
///
/// A provider of a server that is called lives on when its connection is lost, and serves the next
/// one: then [`initialize`](Self::initialize) is called again, and the Proxy subscribes anew to what
/// its clients still want.
#[expect(unused_variables, reason = "the defaults look at nothing")]
pub trait DataProvider: Send {
    /// A connection was opened, and the Proxy sent its parameters: `proxy.instance_id`,
    /// `server.instance_id`, `data_provider.name`, those of `adapters.xml` whose name has a `:` in
    /// it, and more (`DPI`). Everything is well by default.
    ///
    /// # Errors
    /// Any refuses the init. The Proxy may then take no connection for some time, or never again
    /// (its `connection_recovery_timeout_millis`).
    fn initialize(
        &mut self,
        connection: &Connection,
        parameters: &Parameters<'_>,
    ) -> Result<(), DataError> {
        Ok(())
    }

    /// Gives the way to send events. It is called once, before anything else; keep it. Until the
    /// first init is answered the listener says that there is no connection.
    fn set_listener(&mut self, listener: ItemEventListener);

    /// Whether the provider sends a snapshot of that item, and ends it with
    /// [`end_of_snapshot`](ItemEventListener::end_of_snapshot). Asked before `subscribe`.
    ///
    /// `false`, the default: the end of the snapshot is sent for the provider, before the first
    /// update (`EOS`).
    ///
    /// The snapshot is the state at the moment, for who subscribes now: one event with every field in
    /// the mode `Merge`, one for each row in `Command`, the last ones in `Distinct`. Its events are
    /// sent with `is_snapshot`, in [`subscribe`](Self::subscribe) or later, before all others.
    fn is_snapshot_available(&mut self, item: &str) -> bool {
        false
    }

    /// Events of that item are wanted (`SUB`). They may be sent from now on, from here too.
    ///
    /// # Errors
    /// Any refuses the subscription: no event of the item is sent any more.
    fn subscribe(&mut self, item: &str) -> Result<(), DataError>;

    /// No event of that item is wanted any more (`USB`). What is sent until this returns still
    /// leaves.
    ///
    /// # Errors
    /// They are told to the Proxy; the subscription is closed all the same.
    fn unsubscribe(&mut self, item: &str) -> Result<(), DataError>;

    /// The connection is gone, and with it every subscription; `unsubscribe` is not called. The
    /// provider lives on. Not called for a connection whose init was refused.
    fn disconnected(&mut self) {}
}

/// Why a Remote Data Adapter does not do what it was asked for. The text is for the server's log.
///
/// A kind that the method in question may not give is sent as `E`, with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataError {
    /// `ED`: the adapter cannot serve. For [`initialize`](DataProvider::initialize).
    Provider(String),
    /// `EU`: the item cannot be subscribed to, or not now.
    Subscription(String),
    /// `EF`: something went wrong that makes the adapter useless.
    Failure(String),
    /// `E`: anything else.
    Other(String),
}

impl DataError {
    /// As the protocol classes it, and its text.
    pub(crate) fn parts(&self) -> (ErrorKind, &str) {
        match self {
            DataError::Provider(text) => (ErrorKind::Data, text),
            DataError::Subscription(text) => (ErrorKind::Subscription, text),
            DataError::Failure(text) => (ErrorKind::Failure, text),
            DataError::Other(text) => (ErrorKind::Generic, text),
        }
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parts().1)
    }
}

impl std::error::Error for DataError {}
