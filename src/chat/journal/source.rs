//! What the journal asks the table of sessions when it is written anew.

/// The open sessions of some instances of Proxies, each of which has a key of its own for ever.
pub trait Source: Send + Sync {
    /// How many sessions there are.
    fn count(&self) -> usize;

    /// Keys and names of all instances.
    fn instances(&self) -> Vec<(u64, String)>;

    /// The name of an instance; `None` when it was dropped.
    fn name(&self, key: u64) -> Option<String>;

    /// Appends the bodies of the lines for some sessions of an instance, from those before the
    /// position `before` down, and says at which position to go on; `None` when it was dropped.
    ///
    /// What opens and closes between two calls may be missing or come twice; its own line follows.
    fn slice(&self, key: u64, before: usize, bodies: &mut Vec<u8>) -> Option<usize>;
}
