//! Requests → provider → replies: what is said on one connection, line by line (sections 3, 5, 8).
//!
//! It knows neither socket nor TLS; a reader feeds it.

use super::config::Context;
use super::credentials::Credentials;
use super::disconnect::Disconnect;
use super::init::{self, Init, InitWait};
use super::outbox::{AllQueued, Item, Outbox};
use super::shutdown::{Identity, Serving};
use super::status::Phase;
use super::tls::TlsError;
use crate::ari::Side;
use crate::ari::args::Args;
use crate::ari::escape::{Escaped, EscapedLine};
use crate::ari::framing::{Line, LineBuffer, MAX_LINE};
use crate::ari::parameters::Parameters;
use crate::ari::reply::{ErrorKind, Reply};
use crate::ari::request::{Head, Method, Request};
use crate::ari::text::Encoding;
use crate::ari::version::Version;
use crate::provider::{Connection, UpdateQueue};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection that served for so long is not lost again and again.
pub const STEADY: Duration = Duration::from_secs(10);

/// After so many hellos in a row that the Proxy answered by the end of the stream, the credentials
/// are doubted that it took before: they may have been changed.
const UNANSWERED: u32 = 10;

/// The method by which an adapter says hello.
const HELLO: &[u8] = b"RAC";

/// The first bytes of TLS: of the record by which a server refuses what is not TLS, and of that by which
/// a client begins.
const TLS: [&[u8]; 2] = [&[0x15, 0x03], &[0x16, 0x03]];

/// What serves the requests of one side: a provider, and what it needs. It outlives connections.
pub trait Service: Send {
    /// Which Proxy it serves.
    fn side(&self) -> Side;

    /// The Proxy sent its init.
    ///
    /// # Errors
    /// Why the provider refuses it: the kind, and the text for the reply and the log.
    fn initialize(
        &mut self,
        connection: &Connection,
        parameters: &Parameters<'_>,
    ) -> Result<(), (ErrorKind, String)>;

    /// The init was answered; requests follow. `outbox` is the way to the Proxy, for what is sent at other
    /// times than replies.
    fn opened(&mut self, _outbox: &Arc<Outbox>) {}

    /// Serves one request, and appends the reply. One that sends the replies itself logs the last.
    fn serve(
        &mut self,
        connection: &Connection,
        call: &Call<'_>,
        request: Request<'_>,
        replies: &mut Vec<u8>,
    );

    /// All requests of one read are served: sends the replies.
    fn served(&mut self, replies: Vec<u8>, outbox: &Outbox);

    /// The connection is gone: nothing more is sent on it.
    fn disconnected(&mut self);
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

impl Call<'_> {
    /// Begins the reply.
    pub fn reply<'b>(&self, replies: &'b mut Vec<u8>) -> Reply<'b> {
        Reply::to(self.id, self.method, self.encoding, replies)
    }

    /// Begins a reply that is an error. A kind that this method may not give becomes `E`.
    pub fn error<'b>(&self, kind: ErrorKind, message: &str, replies: &'b mut Vec<u8>) -> Reply<'b> {
        let kind = match kind.is_allowed_for(self.method) {
            true => kind,
            false => ErrorKind::Generic,
        };
        self.reply(replies).error(kind, message)
    }

    /// Logs how the request was answered, at `debug`: by the last line of `replies`.
    #[inline]
    pub fn log(&self, connection: &Connection, replies: &[u8]) {
        if !log::log_enabled!(log::Level::Debug) || replies.is_empty() {
            return;
        }
        let last = replies.trim_ascii_end();
        let start = memchr::memrchr(b'\n', last).map_or(0, |end| end + 1);
        let head = self.id.len() + 1 + self.method.name().len() + 1;
        log::debug!(
            "{}: {} {} answered {}",
            connection.name(),
            self.method,
            Escaped(self.id),
            Escaped(last[start..].get(head..).unwrap_or_default())
        );
    }
}

/// The requests of one connection after the other.
pub struct Dispatch {
    /// That this connection is in service, if it is a real one, until its end is told. It stands first, so
    /// that nobody who waits for the end waits for the provider to be dropped.
    pub serving: Option<Arc<Serving>>,
    service: Box<dyn Service>,
    /// Which Proxy is served.
    pub side: Side,
    context: Context,
    /// The way to the Proxy.
    outbox: Arc<Outbox>,
    /// What this connection's hello carried.
    credentials: Option<Credentials>,
    /// What the last hello carried that was taken.
    accepted: Option<Credentials>,
    /// So many hellos since then were answered by the end of the stream.
    unanswered: u32,
    /// How strings are written; none before the init is answered.
    encoding: Option<Encoding>,
    wait: InitWait,
    /// That it serves, if the log was not told yet: the version, since when, and when to log it.
    unreported: Option<(Version, Instant, Instant)>,
}

impl Dispatch {
    /// Serves with `service`; there is no connection yet.
    pub(super) fn new(service: Box<dyn Service>, context: Context) -> Dispatch {
        let side = service.side();
        Dispatch {
            side,
            service,
            context,
            outbox: Outbox::new(AllQueued::default()).0,
            serving: None,
            credentials: None,
            accepted: None,
            unanswered: 0,
            encoding: None,
            wait: InitWait::new(side),
            unreported: None,
        }
    }

    /// A connection was opened, on which nothing has come yet. `credentials` are those of its hello;
    /// `serving` says that it is in service, if it is a real one.
    pub fn connected(
        &mut self,
        outbox: Arc<Outbox>,
        credentials: Option<Credentials>,
        serving: Option<Arc<Serving>>,
    ) {
        self.outbox = outbox;
        self.serving = serving;
        self.credentials = credentials;
        self.wait = InitWait::new(self.side);
    }

    /// Serves all complete lines there are, and sends the replies.
    ///
    /// # Errors
    /// [`Disconnect`], when one of them ends the connection. What came before it is answered.
    pub fn serve(&mut self, lines: &mut LineBuffer) -> Result<(), Disconnect> {
        let Some(mut line) = lines.next_line() else {
            return Ok(());
        };
        let mut replies = self.outbox.buffer();
        let result = loop {
            if let Err(reason) = self.line(line, &mut replies) {
                break Err(reason);
            }
            if self.encoding.is_some() {
                lines.set_limit(MAX_LINE);
            }
            match lines.next_line() {
                Some(next) => line = next,
                None => break Ok(()),
            }
        };
        match self.encoding {
            Some(_) => self.service.served(replies, &self.outbox),
            None => self.outbox.send_replies(replies),
        }
        result
    }

    fn line(&mut self, line: Line<'_>, replies: &mut Vec<u8>) -> Result<(), Disconnect> {
        let (line, is_too_long) = match line {
            Line::Complete(line) => (line, false),
            Line::TooLong(head) => (head, true),
        };
        let connection = &self.context.connection;
        // A read brings many lines, and each may take its time.
        self.context.status.reader.beat();
        log::trace!("{} -> {}", connection.name(), EscapedLine(line));
        let head = Head::of(line);
        let method = head.and_then(|head| Method::named(head.method));
        let (head, method) = match (head, method) {
            (Some(head), Some(method)) if self.may_come(method) => (head, method),
            // Where the alert is "unexpected message", its number is a line end.
            _ if self.encoding.is_none() && is_tls(line) => return Err(peer_speaks_tls()),
            (Some(head), None) if self.encoding.is_none() && head.method == HELLO => {
                return Err(Disconnect::Adapter);
            }
            _ if self.encoding.is_none() => return self.wait.line_is_not_ari(connection, line),
            _ if line.trim_ascii().is_empty() => return Ok(()),
            _ => {
                let what = match head {
                    Some(_) => "an unknown method",
                    None => "a line without method",
                };
                let line = EscapedLine(line);
                connection.bad_request(format_args!("{what}, skipped: {line}"));
                return Ok(());
            }
        };
        let call = Call {
            id: head.id,
            method,
            encoding: self.encoding.unwrap_or(Encoding::Form),
        };
        match self.encoding {
            _ if method == Method::Close => Err(self.close_request(head.args, is_too_long)),
            Some(_) if method.is_init() => {
                Err(Disconnect::Protocol(format!("a second init: {method}")))
            }
            None if method.is_init() => {
                let parameters = match is_too_long {
                    true => Err(too_long(init::OPENING_LINE)),
                    false => Parameters::of_init(head.args).map_err(|error| error.to_string()),
                };
                self.init(&call, parameters, replies)
            }
            None => {
                let what = format!("request {method} came before the init");
                Err(Disconnect::Protocol(what))
            }
            Some(_) if is_too_long => {
                self.refuse(&call, &too_long(MAX_LINE), replies);
                Ok(())
            }
            Some(_) => {
                match Request::parse(method, head.args) {
                    Ok(request) => {
                        self.service.serve(connection, &call, request, replies);
                        call.log(connection, replies);
                    }
                    Err(malformed) => self.refuse(&call, &malformed.to_string(), replies),
                }
                Ok(())
            }
        }
    }

    /// An init is never merely unknown, whichever side it is of; before it, no request is.
    fn may_come(&self, method: Method) -> bool {
        let is_mine = method.side().is_none_or(|side| side == self.side);
        is_mine || method.is_init() || self.encoding.is_none()
    }

    /// Answers a request that is malformed.
    fn refuse(&self, call: &Call<'_>, why: &str, replies: &mut Vec<u8>) {
        let (method, id) = (call.method, Escaped(call.id));
        // What is wrong may quote an argument, and that of a login may be a password, which is
        // not for anybody's log, the server's included.
        let why = match method.is_secret() {
            true => "its arguments are not what they should be",
            false => why,
        };
        self.context.connection.bad_request(format_args!(
            "malformed {method} {id}, answered with an error: {why}"
        ));
        call.error(ErrorKind::Generic, why, replies).end();
    }

    fn init(
        &mut self,
        call: &Call<'_>,
        parameters: Result<Parameters<'_>, String>,
        replies: &mut Vec<u8>,
    ) -> Result<(), Disconnect> {
        let connection = &self.context.connection;
        let method = call.method;
        self.accepted = self.credentials.clone();
        self.unanswered = 0;
        let parameters = match parameters {
            Ok(parameters) => parameters,
            Err(why) => {
                connection.warn(format_args!(
                    "malformed {method}, answered with an error: {why}"
                ));
                call.error(ErrorKind::Generic, &why, replies).end();
                self.wait.init_is_malformed();
                return Ok(());
            }
        };
        // Not even a refusal is for another server: its Proxy would take it for a failed init.
        let instance = parameters.get("server.instance_id");
        let instance = instance.as_deref().filter(|id| !id.is_empty());
        if let Some(member) = &self.context.member {
            member.init(instance)?;
        }
        let init = Init::read(&parameters);
        let version = match init.agree(self.side, method) {
            Ok(version) => version,
            Err(why) => return Err(refused(call, init::refusal(method), why, replies)),
        };
        if let Some(serving) = &self.serving
            && let Some(identity) = Identity::of(self.side, &parameters)
        {
            serving.enter(identity, connection.name(), &self.context.status.reader)?;
        }
        if let Err((kind, why)) = self.service.initialize(connection, &parameters) {
            return Err(refused(call, kind, why, replies));
        }
        let keepalive = init.keepalive(version, self.context.config.keepalive);
        self.outbox.send(Item::Keepalive(keepalive));
        init::put_agreed(call.reply(replies), version);
        self.outbox.send_replies(std::mem::take(replies));
        let is_reported = match keepalive.as_millis() {
            0 => connection.step(format_args!("serving, ARI {version}, no keepalives")),
            millis => connection.step(format_args!(
                "serving, ARI {version}, keepalive after {millis} ms"
            )),
        };
        let now = Instant::now();
        self.unreported = (!is_reported).then(|| (version, now, now + STEADY));
        self.context.status.set(Phase::Serving(version));
        self.encoding = Some(version.encoding());
        self.service.opened(&self.outbox);
        Ok(())
    }

    /// What a `CLOSE` comes to. One whose parameters cannot be read closes the connection all the
    /// same. A reason that quotes the password, or a part of which is not known, is not logged.
    fn close_request(&self, args: Args<'_>, is_too_long: bool) -> Disconnect {
        let credentials = self.credentials.as_ref();
        let quotes = |reason: &str| {
            credentials.is_some_and(|credentials| reason.contains(credentials.password.reveal()))
        };
        let reason = Parameters::unchecked(args).get("reason");
        let at_hello = self.encoding.is_none() && !self.wait.has_taken_hello;
        Disconnect::CloseRequest {
            reason: reason.map(|reason| match quotes(&reason) {
                _ if is_too_long => "(a reason that is too long)".into(),
                true => "(a reason that quotes the password)".into(),
                false => reason.into_owned(),
            }),
            at_hello: at_hello.then(|| self.user()),
        }
    }

    fn user(&self) -> Option<String> {
        let credentials = self.credentials.as_ref();
        credentials.map(|credentials| credentials.user.clone())
    }

    /// What it means that the peer ended the stream now, with `pending` of a line that has not
    /// ended.
    pub fn end_of_stream(&mut self, pending: &[u8]) -> Disconnect {
        if let Some(reason) = self.not_ari(pending) {
            return reason;
        }
        if !self.is_unheard(pending) {
            return Disconnect::Closed;
        }
        if self.context.member.is_none() && self.credentials.is_none() {
            return Disconnect::SaidNothing;
        }
        self.unanswered += 1;
        let is_known = self.accepted.is_some() && self.accepted == self.credentials;
        Disconnect::ClosedAtHello {
            user: self.user(),
            plain: self.context.config.tls.is_none(),
            is_known: is_known && self.unanswered <= UNANSWERED,
        }
    }

    /// What the peer's words show, if it said some before its end that were not ARI.
    pub fn not_ari(&self, pending: &[u8]) -> Option<Disconnect> {
        match self.is_opening() {
            true if is_tls(pending) => Some(peer_speaks_tls()),
            true => self.wait.end(),
            false => None,
        }
    }

    /// Does what is due at this time, and says how long a read may wait until something is due
    /// again. `pending` is what there is of a line that has not ended.
    ///
    /// # Errors
    /// [`Disconnect`], when the peer is given up.
    pub fn tick(&mut self, pending: &[u8]) -> Result<Option<Duration>, Disconnect> {
        let connection = &self.context.connection;
        if self.encoding.is_none() {
            if is_tls(pending) {
                return Err(peer_speaks_tls());
            }
            let left = self.wait.check(connection, pending, Instant::now())?;
            return Ok(Some(left));
        }
        if let Some((version, since, due)) = &mut self.unreported
            && *due <= Instant::now()
        {
            connection.set_quiet(false);
            let seconds = since.elapsed().as_secs();
            match connection.step(format_args!("serving for {seconds} s now, ARI {version}")) {
                true => self.unreported = None,
                // There was too much else to log: then later.
                false => *due += STEADY,
            }
        }
        Ok(self.unreported.map(|_| STEADY))
    }

    /// The connection is gone: from here on nothing is sent on it.
    pub fn disconnected(&mut self) {
        // First, so that the others of the server do not deal with the loss when they know of it.
        if let Some(member) = &self.context.member {
            member.ended(!self.is_opening());
        }
        if self.encoding.take().is_some() {
            self.service.disconnected();
        }
        self.unreported = None;
        // What is still queued is not to be counted any longer than the connection lasts.
        self.outbox = Outbox::new(AllQueued::default()).0;
    }

    /// Whether nothing came since the hello, `pending` being what there is of a line.
    pub fn is_unheard(&self, pending: &[u8]) -> bool {
        self.encoding.is_none() && self.wait.is_silent(pending)
    }

    /// Whether the init was not answered yet.
    pub fn is_opening(&self) -> bool {
        self.encoding.is_none()
    }
}

fn too_long(limit: usize) -> String {
    format!("the line is longer than {limit} bytes")
}

fn refused(call: &Call<'_>, kind: ErrorKind, why: String, replies: &mut Vec<u8>) -> Disconnect {
    call.error(kind, &why, replies).end();
    Disconnect::Refused(why)
}

fn is_tls(bytes: &[u8]) -> bool {
    TLS.iter().any(|begins| bytes.starts_with(begins))
}

fn peer_speaks_tls() -> Disconnect {
    let message = "the peer speaks it, and --tls was not given";
    Disconnect::Tls(TlsError::lasting(message))
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::super::metadata::MetadataService;
    use super::super::status::Status;
    use super::*;
    use crate::provider::{MetadataError, MetadataProvider};
    use std::sync::Mutex;

    /// Takes some milliseconds for each message, and notes when the next heartbeat is due.
    struct Slow(Arc<Status>, Arc<Mutex<Vec<u64>>>);

    impl MetadataProvider for Slow {
        fn notify_session_close(&mut self, _: &str) -> Result<(), MetadataError> {
            self.1.lock().unwrap().push(self.0.reader.due());
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(2) {}
            Ok(())
        }
    }

    #[test]
    fn each_line_of_a_read_is_a_heartbeat() {
        let heartbeat = Some(Duration::from_secs(1));
        let config = Config {
            heartbeat,
            ..Config::default()
        };
        let connection = Connection::new("metadata".into());
        let context = Context::new(&Arc::new(config), connection, Arc::default(), None);
        let dues = Arc::<Mutex<Vec<u64>>>::default();
        let provider = Slow(Arc::clone(&context.status), Arc::clone(&dues));
        let mut dispatch = Dispatch::new(Box::new(MetadataService::new(provider)), context);
        let (outbox, _items) = Outbox::new(AllQueued::default());
        dispatch.connected(outbox, None, None);
        let mut lines = LineBuffer::new();
        let read = ["1|MPI\r\n", &"2|NSC|S|S1\r\n".repeat(3)].concat();
        lines.fill(&mut read.as_bytes()).unwrap();
        dispatch.serve(&mut lines).unwrap();
        let dues = dues.lock().unwrap();
        assert!(
            dues.len() == 3 && dues.is_sorted_by(|a, b| a < b),
            "{dues:?}"
        );
    }
}
