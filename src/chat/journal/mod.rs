//! The journal: a file that remembers the open sessions while the adapter is away.
//!
//! It is written in the protocol's own lines ([`line`]) by a thread of its own ([`writer`]), to which
//! a bounded queue leads, so that nobody else waits for a disk. Either all that stands in it is true,
//! or there is none: what cannot be written is discarded, and written anew when it can. It does not
//! know what a session is good for.

mod file;
mod line;
mod load;
mod queue;
mod source;
mod writer;

pub use file::{Place, open_journal};
pub use line::{Entry, put_closed, put_opened};
pub use load::{End, Loaded, Unusable, load};
pub use queue::{Events, Queue, queue};
pub use source::Source;
pub use writer::Writer;
