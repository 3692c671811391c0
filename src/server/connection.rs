//! One open connection to a Proxy: hello, serve, disconnect.
//!
//! Two threads a connection: one reads and serves, the other writes. What is served is none of its
//! business; who opened it decides whether the hello may carry credentials, and what silence means.

use super::abort::AbortOnPanic;
use super::config::Context;
use super::credentials::Credentials;
use super::disconnect::Disconnect;
use super::dispatch::{Dispatch, STEADY, Service};
use super::orderly_close::{self, LINGER};
use super::outbox::{Item, Outbox};
use super::reader;
use super::shutdown::{Serving, Shutdown};
use super::socket;
use super::status::Phase;
use super::transport::Transport;
use super::waker::{Source, Waker};
use super::writer::{Ended, Writer};
use crate::ari::reply;
use crate::provider::{UpdateQueue, lock};
use crossbeam_channel::{RecvTimeoutError, bounded};
use std::fmt;
use std::io;
use std::net;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// How long an orderly end may take: what is queued leaves, the peer sees the end, and what could
/// not leave is counted.
pub const DRAIN: Duration = Duration::from_secs(5);

/// What is queued when a connection ends has this long of it to leave.
const WRITE_OUT: Duration = Duration::from_secs(4);

/// How long it may take to learn that a peer did not read the hello.
const UNREAD_HELLO: Duration = Duration::from_millis(200);

/// The connection to one Proxy, which may be made again and again.
pub(super) struct ProxyConnection {
    pub context: Context,
    dispatch: Dispatch,
}

impl ProxyConnection {
    /// One that is not open yet.
    pub fn new(context: Context, service: Box<dyn Service>) -> ProxyConnection {
        ProxyConnection {
            dispatch: Dispatch::new(service, context.clone()),
            context,
        }
    }

    /// Serves a connection that was just opened, as `how` says, until it ends: in this thread and in
    /// a writer's. Says why it ended. `waker` is what ends it from outside.
    pub fn run(
        &mut self,
        transport: &Transport,
        how: fmt::Arguments<'_>,
        waker: &Arc<Waker>,
    ) -> Disconnect {
        let (context, config) = (&self.context, &self.context.config);
        let serving = Arc::new(config.shutdown.serving(waker));
        let tls = transport.tls.as_ref();
        let agreed = tls.map_or(String::new(), |it| format!(", {}", it.negotiated()));
        context.connection.step(format_args!("{how}{agreed}"));
        context.status.set(Phase::Opening);
        // Not for whoever connects.
        let is_trusted = context.member.is_some() || config.verifies_clients();
        let credentials = lock(&config.credentials).clone().filter(|_| is_trusted);
        let (Ok(reason) | Err(reason)) = self.serve(transport, &serving, credentials);
        reason
    }

    /// Tells why the connection ended, which had served for so long, and that the next is tried after
    /// `wait`, if that is up to us. Afterwards the same Proxy may be served by another connection.
    pub fn tell_end(&mut self, reason: &Disconnect, served: Duration, wait: Option<Duration>) {
        let mut failures = lock(&self.context.failures);
        if served >= STEADY {
            failures.clear();
        }
        failures.log(&self.context.connection, reason, wait);
        self.dispatch.serving = None;
    }

    fn serve(
        &mut self,
        transport: &Transport,
        serving: &Arc<Serving>,
        credentials: Option<Credentials>,
    ) -> Result<Disconnect, Disconnect> {
        let (config, status) = (&self.context.config, &self.context.status);
        let waker = &serving.waker;
        let (outbox, items) = Outbox::new(config.all_queued.clone());
        status.attach(&outbox);
        let named = credentials.as_ref();
        let named = named.map(|it| (it.user.as_str(), it.password.reveal()));
        let mut hello = Vec::new();
        reply::put_hello(named, &config.product, &mut hello);
        outbox.send_replies(hello);
        let is_anonymous = credentials.is_none();
        self.dispatch
            .connected(Arc::clone(&outbox), credentials, Some(Arc::clone(serving)));
        let (mut is_opening, mut is_unheard) = (true, true);
        let (reason, ended, writer_broke, ended_at) = thread::scope(|scope| {
            // The scope would wait for the writer, which nobody ends then.
            let _abort = AbortOnPanic;
            let writer = Writer::new(transport, &outbox, items, &self.context, waker);
            let name = format!("{}-writer", self.dispatch.side);
            let (running, finished) = bounded::<()>(0);
            let writer = thread::Builder::new().name(name).spawn_scoped(scope, || {
                let (_running, _abort) = (running, AbortOnPanic);
                writer.run()
            });
            let doing = "starting the writer thread";
            let writer = writer.map_err(|error| Disconnect::broken(doing, error))?;
            let source = Source::new(Arc::clone(&transport.socket), Arc::clone(waker));
            let input = transport.reader(&source, || outbox.send(Item::Flush));
            let dispatch = &mut self.dispatch;
            let reason = reader::serve(&source, input, &outbox, dispatch, &self.context);
            let ended_at = Instant::now();
            // A writer that broke has ended the stream for the reader.
            let writer_broke = outbox.is_closed();
            let reason = unless_hello_unread(reason, &transport.socket, &config.shutdown);
            // From here on nobody sends: what was answered with success is queued.
            is_opening = self.dispatch.is_opening();
            is_unheard = self.dispatch.is_unheard(&[]);
            self.dispatch.disconnected();
            // What replaces it waits until all is told.
            if !matches!(reason, Disconnect::Replaced(_)) {
                serving.leave();
            }
            outbox.send(Item::End);
            status.reader.beat_before(DRAIN + LINGER);
            if reason.is_broken()
                || finished.recv_timeout(WRITE_OUT) == Err(RecvTimeoutError::Timeout)
            {
                // A writer that the peer keeps waiting returns then.
                let _ = transport.socket.shutdown(net::Shutdown::Both);
            }
            let ended = writer.join().expect("a panic ends the process");
            Ok::<_, Disconnect>((reason, ended, writer_broke, ended_at))
        })?;
        if !outbox.is_closed() {
            self.close(transport, &reason, ended_at + WRITE_OUT);
        }
        // First what TLS knows: a writer only finds that the connection is broken.
        let reason = transport.explain(reason, is_opening);
        let is_called = self.context.member.is_some();
        Ok(match self.account(reason, ended, writer_broke) {
            Disconnect::Broken { error, .. } if is_unheard && is_reset(&error) && is_called => {
                Disconnect::ResetAtHello(error)
            }
            Disconnect::Broken { error, .. } if is_unheard && is_reset(&error) && is_anonymous => {
                Disconnect::SaidNothing
            }
            reason => reason,
        })
    }

    /// Ends the stream of a connection that is not broken.
    fn close(&self, transport: &Transport, reason: &Disconnect, deadline: Instant) {
        let has_arrived = orderly_close::close(transport, deadline);
        if !has_arrived && matches!(reason, Disconnect::Stopping | Disconnect::RecordLimit) {
            self.context.connection.warn(format_args!(
                "the Proxy did not take all that was written in time"
            ));
        }
    }

    /// Counts what the end of the connection cost, and settles why it ended.
    fn account(&self, reason: Disconnect, ended: Ended, writer_broke: bool) -> Disconnect {
        // The system tells one of the two threads.
        let reading = match &reason {
            Disconnect::Broken { error, .. } => Some(error),
            _ => None,
        };
        let mut errors = reading.into_iter().chain(&ended.error);
        let count = ended.lost_updates(errors.any(socket::is_timeout));
        if count > 0 {
            let lost = &self.context.config.connections.lost_updates;
            lost.fetch_add(count, Ordering::Relaxed);
            self.context.connection.warn(format_args!(
                "at least {count} messages that were answered with success are lost"
            ));
        }
        match (reason, ended.error) {
            // Where the writer broke first, it knows why. A peer to which not even the hello could
            // be written has refused nothing.
            (Disconnect::Closed | Disconnect::Broken { .. }, Some(error)) if writer_broke => {
                Disconnect::broken("writing", error)
            }
            (Disconnect::ClosedAtHello { .. }, Some(error)) => Disconnect::broken("writing", error),
            (reason, _) => reason,
        }
    }
}

/// A Proxy that closes without having read the hello, as one does that is stopping, has refused
/// nothing: TCP says so a moment later.
fn unless_hello_unread(
    reason: Disconnect,
    socket: &net::TcpStream,
    shutdown: &Shutdown,
) -> Disconnect {
    if !matches!(reason, Disconnect::ClosedAtHello { .. }) || shutdown.wait(UNREAD_HELLO) {
        return reason;
    }
    match socket.take_error() {
        Ok(Some(error)) => Disconnect::broken("saying hello", error),
        _ => reason,
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
