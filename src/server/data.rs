//! Data requests → a [`DataProvider`] → replies (section 7).
//!
//! Replies go out by the provider's listener, which has them leave in order with its events.

use super::dispatch::{Call, Service};
use super::outbox::Outbox;
use crate::ari::Side;
use crate::ari::parameters::Parameters;
use crate::ari::reply::ErrorKind;
use crate::ari::request::Request;
use crate::provider::{Connection, DataError, DataProvider, ItemEventListener};
use std::sync::Arc;

/// Serves data connections, one after the other, with one provider.
pub struct DataService<P> {
    provider: P,
    listener: ItemEventListener,
}

impl<P: DataProvider> DataService<P> {
    /// Serves with that provider, whose events carry the time that `now` gives, in milliseconds
    /// since the epoch.
    pub fn new(mut provider: P, now: fn() -> u64) -> DataService<P> {
        let listener = ItemEventListener::new(now);
        provider.set_listener(listener.clone());
        DataService { provider, listener }
    }
}

impl<P: DataProvider> Service for DataService<P> {
    fn side(&self) -> Side {
        Side::Data
    }

    fn initialize(
        &mut self,
        connection: &Connection,
        parameters: &Parameters<'_>,
    ) -> Result<(), (ErrorKind, String)> {
        let initialized = self.provider.initialize(connection, parameters);
        initialized.map_err(|error| (error.parts().0, error.to_string()))
    }

    fn opened(&mut self, outbox: &Arc<Outbox>) {
        self.listener.attach(Arc::clone(outbox) as _);
    }

    fn serve(
        &mut self,
        connection: &Connection,
        call: &Call<'_>,
        request: Request<'_>,
        replies: &mut Vec<u8>,
    ) {
        let result = match &request {
            Request::Subscribe { item } => {
                let has_snapshot = self.provider.is_snapshot_available(item);
                self.listener.open(item, call.id, has_snapshot);
                let result = self.provider.subscribe(item);
                match result {
                    Ok(()) => self.listener.confirm(item, replies),
                    Err(_) => self.listener.close(item, replies),
                }
                result
            }
            Request::Unsubscribe { item } => self.provider.unsubscribe(item),
            _ => Err(DataError::Other("not a data request".into())), // the other side's
        };
        match result {
            Ok(()) => call.reply(replies).void(),
            Err(error) => {
                let (kind, text) = error.parts();
                call.error(kind, text, replies).end();
            }
        }
        if let Request::Unsubscribe { item } = request {
            call.log(connection, replies);
            self.listener.close(&item, replies);
        }
    }

    fn served(&mut self, mut replies: Vec<u8>, _outbox: &Outbox) {
        self.listener.reply(&mut replies);
    }

    fn disconnected(&mut self) {
        self.listener.detach();
        self.provider.disconnected();
    }
}
