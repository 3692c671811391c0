//! What the journal asks the table of sessions when it is written anew.

/// The open sessions of one instance of a Proxy.
pub trait Source: Send + Sync {
    /// The instance that the sessions belong to, and how often that has changed.
    fn instance(&self) -> (u64, Option<String>);

    /// How many sessions there are.
    fn count(&self) -> usize;

    /// Hands over the bodies of the lines for some sessions, from those before the position
    /// `before` down, and says at which position to go on; `None` when the instance has changed
    /// since it was the one of that `generation`.
    ///
    /// What opens and closes between two calls may be missing or come twice; its own line follows.
    fn slice(&self, generation: u64, before: usize, put: &mut dyn FnMut(&[u8])) -> Option<usize>;
}
