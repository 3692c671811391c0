//! A data provider for these tests: it does what a test tells it to, and notes what it is asked.

use chat_adapter::provider::{
    Connection, DataError, DataProvider, ItemEventListener, Parameters, Unsent,
};
use std::sync::{Arc, Mutex, OnceLock};

/// What a test has a provider do when an item is subscribed to, or not any more.
type Action = Box<dyn FnMut(&ItemEventListener, &str) -> Result<(), DataError> + Send>;

/// What a provider was asked, in order.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    pub(crate) fn note(&self, call: impl Into<String>) {
        self.0.lock().expect("no panic").push(call.into());
    }

    /// All since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

/// The provider.
pub(crate) struct Feed {
    calls: Calls,
    listener: Arc<OnceLock<ItemEventListener>>,
    has_snapshot: bool,
    subscribe: Action,
    unsubscribe: Action,
}

/// What a test keeps of a provider that a Proxy has.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) calls: Calls,
    listener: Arc<OnceLock<ItemEventListener>>,
}

impl Handle {
    pub(crate) fn listener(&self) -> &ItemEventListener {
        self.listener.get().expect("set before anything else")
    }

    /// Sends an update with one field.
    pub(crate) fn update(&self, item: &str, value: i64) -> Result<(), Unsent> {
        update(self.listener(), item, value)
    }

    /// Stages an update with one field.
    pub(crate) fn stage(&self, item: &str, value: i64) -> Result<(), Unsent> {
        self.listener().stage(item, false, |event| {
            event.field("n", value);
        })
    }

    /// Sends an update with a long text.
    pub(crate) fn long_update(&self, item: &str, length: usize) -> Result<(), Unsent> {
        self.listener().update(item, false, |event| {
            event.field("n", &"x".repeat(length));
        })
    }
}

/// Sends an update with one field.
pub(crate) fn update(listener: &ItemEventListener, item: &str, value: i64) -> Result<(), Unsent> {
    listener.update(item, false, |event| {
        event.field("n", value);
    })
}

impl Feed {
    /// A provider that takes every subscription, has no snapshots and sends nothing by itself.
    pub(crate) fn new() -> (Feed, Handle) {
        let handle = Handle {
            calls: Calls::default(),
            listener: Arc::default(),
        };
        let feed = Feed {
            calls: handle.calls.clone(),
            listener: Arc::clone(&handle.listener),
            has_snapshot: false,
            subscribe: Box::new(|_, _| Ok(())),
            unsubscribe: Box::new(|_, _| Ok(())),
        };
        (feed, handle)
    }

    /// It sends the snapshots of its items itself.
    pub(crate) fn with_snapshots(self) -> Feed {
        let has_snapshot = true;
        Feed {
            has_snapshot,
            ..self
        }
    }

    /// Does this within `subscribe`.
    pub(crate) fn on_subscribe(
        self,
        action: impl FnMut(&ItemEventListener, &str) -> Result<(), DataError> + Send + 'static,
    ) -> Feed {
        let subscribe = Box::new(action);
        Feed { subscribe, ..self }
    }

    /// Does this within `unsubscribe`.
    pub(crate) fn on_unsubscribe(
        self,
        action: impl FnMut(&ItemEventListener, &str) -> Result<(), DataError> + Send + 'static,
    ) -> Feed {
        let unsubscribe = Box::new(action);
        Feed {
            unsubscribe,
            ..self
        }
    }

    fn own_listener(&self) -> ItemEventListener {
        self.listener.get().expect("it was set").clone()
    }
}

impl DataProvider for Feed {
    fn initialize(
        &mut self,
        _connection: &Connection,
        _parameters: &Parameters<'_>,
    ) -> Result<(), DataError> {
        let unsent = update(&self.own_listener(), "an item", 1);
        self.calls.note(format!("initialize, {unsent:?}"));
        Ok(())
    }

    fn set_listener(&mut self, listener: ItemEventListener) {
        self.calls.note("set_listener");
        self.listener.set(listener).expect("it comes once");
    }

    fn is_snapshot_available(&mut self, item: &str) -> bool {
        self.calls.note(format!("is_snapshot_available {item:?}"));
        self.has_snapshot
    }

    fn subscribe(&mut self, item: &str) -> Result<(), DataError> {
        self.calls.note(format!("subscribe {item:?}"));
        let listener = self.own_listener();
        (self.subscribe)(&listener, item)
    }

    fn unsubscribe(&mut self, item: &str) -> Result<(), DataError> {
        self.calls.note(format!("unsubscribe {item:?}"));
        let listener = self.own_listener();
        (self.unsubscribe)(&listener, item)
    }

    fn disconnected(&mut self) {
        let unsent = update(&self.own_listener(), "an item", 1);
        self.calls.note(format!("disconnected, {unsent:?}"));
    }
}
