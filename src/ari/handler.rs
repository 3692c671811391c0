//! What serves a connection: the seam between the protocol's transport and an adapter.
//!
//! A [`Handler`] gets what a Proxy says and puts bytes where they are to leave. Whoever drives it
//! owns socket and threads; it knows neither.

use super::Side;
use super::reply::Reply;
use super::request::{Malformed, Method, QuickMessage, Request};
use super::text::Encoding;
use super::version::Version;
use std::fmt;
use std::sync::Arc;

/// The way out of one connection.
///
/// Lines leave in the order of the [`send`](Outlet::send)s, from whichever thread they come.
pub trait Outlet: Send + Sync {
    /// How many bytes of updates may be queued now.
    fn free(&self) -> usize;

    /// How many bytes of updates may be queued at the most, when nothing else is.
    fn capacity(&self) -> usize {
        usize::MAX
    }

    /// Whether the connection is going away: nothing that is sent now will leave.
    fn is_closed(&self) -> bool;

    /// An empty buffer to fill and send.
    fn buffer(&self) -> Vec<u8>;

    /// Queues whole lines, never blocks. What cannot leave any more is dropped.
    fn send(&self, lines: Vec<u8>);

    /// Tells the log what happens on the connection.
    fn note(&self, what: fmt::Arguments<'_>);

    /// Warns of something that happens on it.
    fn warn(&self, what: fmt::Arguments<'_>);
}

/// A connection on which the init was agreed.
pub struct Opened {
    /// The version agreed.
    pub version: Version,
    /// `proxy.instance_id`: a robust Proxy's name for itself (section 3).
    pub instance: Option<String>,
    /// The way to its Proxy.
    pub outlet: Arc<dyn Outlet>,
}

/// One side of an adapter. It outlives the connections that it serves, one after the other.
pub trait Handler: Send {
    /// What serves the requests that came in one read.
    type Batch<'a>: Batch
    where
        Self: 'a;

    /// Which Proxy it serves.
    fn side(&self) -> Side;

    /// A connection is open: requests follow.
    fn opened(&mut self, opened: Opened);

    /// Some requests came.
    fn batch(&mut self) -> Self::Batch<'_>;

    /// The connection is gone.
    fn lost(&mut self);
}

/// The requests of one read, served in their order.
pub trait Batch {
    /// What users' messages start with, as it stands on the wire, without a bar.
    const PREFIX: &'static [u8] = b"";

    /// Serves one request and appends its reply. Bytes in the buffer may be sent early, when they
    /// must leave before something else happens.
    ///
    /// # Errors
    /// [`Malformed`], when a string does not decode. Nothing has changed then, and no reply was
    /// written.
    fn serve(
        &mut self,
        call: Call<'_>,
        request: Request<'_>,
        replies: &mut Vec<u8>,
    ) -> Result<(), Malformed>;

    /// The same for a user's message that starts with the prefix, which nearly every request is.
    ///
    /// # Errors
    /// As [`serve`](Batch::serve), which is then asked what to answer.
    fn message(
        &mut self,
        call: Call<'_>,
        quick: QuickMessage<'_>,
        replies: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let QuickMessage {
            session, message, ..
        } = quick;
        let request = Request::NotifyUserMessage { session, message };
        self.serve(call, request, replies)
    }

    /// Everything served so far takes effect: what it sent to other connections is on its way.
    /// Call it before the replies leave, before anything that may block, and at the end.
    fn commit(&mut self);
}

/// What a reply must repeat, and how it is written.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The request's id.
    pub id: &'a [u8],
    /// Its method.
    pub method: Method,
    /// The encoding of the connection's strings.
    pub encoding: Encoding,
}

impl<'a> Call<'a> {
    /// Begins the reply.
    pub fn reply<'b>(&self, replies: &'b mut Vec<u8>) -> Reply<'b> {
        Reply::to(self.id, self.method, self.encoding, replies)
    }
}
