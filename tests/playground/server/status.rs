//! The item that a robust Proxy Data Adapter serves by itself, if `status_item` gives it a name: whether its Remote
//! Adapter is there. The Metadata Adapter is asked about it as about any item, the Data Adapter never.

use super::Server;
use crate::ari::Update;

/// The item and its one value.
pub(super) struct Status {
    /// The item's name, if there is one.
    item: Option<String>,
    /// What clients are told.
    value: &'static str,
}

impl Status {
    /// No adapter has come yet.
    pub(super) fn new(item: Option<String>) -> Self {
        let value = "connecting";
        Self { item, value }
    }

    /// Whether this is the item.
    pub(super) fn is(&self, item: &str) -> bool {
        self.item.as_deref() == Some(item)
    }

    /// What a client is told that comes now.
    pub(super) fn update(&self) -> Update {
        Update {
            is_snapshot: false,
            fields: vec![("status".to_owned(), Some(self.value.to_owned()))],
        }
    }
}

impl Server {
    /// The data connection has changed, and whoever holds the item is told.
    pub(super) fn tell_status(&mut self, value: &'static str) {
        self.status.value = value;
        let (item, update) = (self.status.item.clone(), self.status.update());
        if let Some(item) = item {
            self.update_item(&item, update);
        }
    }
}
