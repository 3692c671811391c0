//! What is said on one connection: lines in, the handler asked, replies on their way.
//!
//! It knows neither socket nor TLS; the reader feeds it.

use super::lost::Lost;
use super::opening::Init;
use super::outlet::{Item, Queue};
use super::shutdown::Shutdown;
use super::sparing::Sparing;
use super::status::{Phase, Status};
use super::steps::STEADY;
use super::turn::Turn;
use super::{Credentials, LinkConfig};
use crate::ari::Side;
use crate::ari::handler::{Batch, Handler, Opened, Outlet};
use crate::ari::line::LineBuffer;
use crate::ari::reply::{ErrorKind, Reply};
use crate::ari::request::{Head, Method, Pairs, Request};
use crate::ari::text::Encoding;
use crate::ari::version::Version;
use crate::shown::ShownLine;
use log::Level;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One connection's side of the talk.
pub struct Conversation<'a, H> {
    /// Serves the requests.
    pub handler: &'a mut H,
    /// Where replies go.
    pub queue: Arc<Queue>,
    /// The link's settings.
    pub config: &'a LinkConfig,
    /// What the link is doing, for those who ask.
    pub status: &'a Status,
    /// Whether to go on.
    pub shutdown: &'a Shutdown,
    /// Rations the warnings that the peer can provoke.
    pub warnings: &'a mut Sparing,
    /// That it serves, if the log was not told yet.
    pub unsaid: Option<Unsaid>,
}

/// A service that the log was not told of.
#[derive(Clone, Copy, Debug)]
pub struct Unsaid {
    version: Version,
    since: Instant,
    /// When to tell it.
    due: Instant,
}

impl<H: Handler> Conversation<'_, H> {
    /// Takes a line that came before the init was answered. Gives the encoding of what follows
    /// once it is; the inner error says what came instead of a request.
    ///
    /// # Errors
    /// [`Lost`], when this ends the connection.
    pub fn open(&mut self, line: &[u8]) -> Result<Result<Option<Encoding>, String>, Lost> {
        log::trace!("{} -> {}", self.queue.steps().name(), ShownLine(line));
        if line.trim_ascii().is_empty() {
            return Ok(Ok(None));
        }
        let head = Head::of(line);
        let known = head.and_then(|head| Some((head, Method::named(head.method)?)));
        let Some((head, method)) = known else {
            return Ok(Err(ShownLine(line).to_string()));
        };
        match Request::parse(method, head.args) {
            Ok(Request::Init(params)) => self.init(head.id, method, params).map(Ok),
            Ok(Request::Close(params)) => {
                let credentials = self.config.credentials();
                let at_hello = Some(self.user());
                Err(close_request(params, credentials.as_ref(), at_hello))
            }
            // The method alone says that it came too early.
            Ok(_) | Err(_) => Err(Lost::Protocol(format!(
                "request {method} came before the init"
            ))),
        }
    }

    fn init(
        &mut self,
        id: &[u8],
        method: Method,
        params: Pairs<'_>,
    ) -> Result<Option<Encoding>, Lost> {
        let mut replies = self.queue.buffer();
        let answer = Init::read(params).map(|init| {
            let answer = init.answer(self.config.side, id, method, &mut replies);
            answer.map(|version| (init, version))
        });
        let steps = self.queue.steps();
        let (init, version) = match answer {
            Ok(Ok(agreed)) => agreed,
            Ok(Err(refused)) => {
                self.queue.send(replies);
                return Err(refused);
            }
            Err(malformed) => {
                steps.trouble(format_args!(
                    "malformed {method}, answered with an error: {malformed}"
                ));
                let reply = Reply::to(id, method, Encoding::Form, &mut replies);
                reply.error(ErrorKind::Generic, &malformed.to_string());
                self.queue.send(replies);
                return Ok(None);
            }
        };
        let keepalive = init.keepalive(version, self.config.keepalive);
        self.queue.tell(Item::Keepalive(keepalive));
        self.queue.send(replies);
        let is_said = match keepalive.as_millis() {
            0 => steps.step(format_args!("serving, ARI {version}, no keepalives")),
            millis => steps.step(format_args!(
                "serving, ARI {version}, keepalive after {millis} ms"
            )),
        };
        let since = Instant::now();
        self.unsaid = (!is_said).then(|| Unsaid {
            version,
            since,
            due: since + STEADY,
        });
        self.status.set(Phase::Serving(version));
        self.handler.opened(Opened {
            version,
            instance: init.instance,
            outlet: Arc::clone(&self.queue) as Arc<dyn Outlet>,
        });
        Ok(Some(version.encoding()))
    }

    /// After how much silence there is something to do, if at all.
    #[must_use]
    pub fn tick(&mut self) -> Option<Duration> {
        let steps = self.queue.steps();
        if let Some(unsaid) = &mut self.unsaid
            && unsaid.due <= Instant::now()
        {
            steps.set_quiet(false);
            let (version, seconds) = (unsaid.version, unsaid.since.elapsed().as_secs());
            match steps.step(format_args!("serving for {seconds} s now, ARI {version}")) {
                true => self.unsaid = None,
                // There was too much else to say: then later.
                false => unsaid.due += STEADY,
            }
        }
        let every = self.status.reader.every();
        let steady = self.unsaid.map(|_| STEADY);
        every.into_iter().chain(steady).min()
    }

    fn user(&self) -> Option<String> {
        self.config
            .credentials()
            .map(|credentials| credentials.user)
    }

    /// The Proxy ended the stream before its init.
    #[must_use]
    pub fn closed_at_hello(&self) -> Lost {
        Lost::ClosedAtHello {
            user: self.user(),
            plain: self.config.tls.is_none(),
        }
    }

    /// Serves all complete lines there are, and sends the replies.
    ///
    /// # Errors
    /// [`Lost`], when one of them ends the connection. What went before it is answered.
    pub fn serve(&mut self, lines: &mut LineBuffer, encoding: Encoding) -> Result<(), Lost> {
        let Some(first) = lines.next_line() else {
            return Ok(());
        };
        let mut replies = self.queue.buffer();
        let verbose = log::log_enabled!(Level::Debug);
        let mut turn = Turn {
            name: self.queue.steps().name(),
            config: self.config,
            encoding,
            batch: self.handler.batch(),
            replies: &mut replies,
            verbose,
            quick: !verbose && self.config.side == Side::Metadata,
            warnings: self.warnings,
        };
        let mut ended = turn.line(first);
        while ended.is_ok()
            && let Some(line) = lines.next_line()
        {
            ended = turn.line(line);
        }
        // Updates first: a success is answered when its message is on its way.
        turn.batch.commit();
        drop(turn);
        self.queue.send(replies);
        ended
    }
}

/// What a `CLOSE` comes to. One whose parameters cannot be read closes the connection all the
/// same. `at_hello` is the user name that was given, when it came before the init.
///
/// A reason that quotes the password of `credentials` is kept back.
pub(super) fn close_request(
    mut params: Pairs<'_>,
    credentials: Option<&Credentials>,
    at_hello: Option<Option<String>>,
) -> Lost {
    let reason = params.find_map(|entry| match entry {
        Ok((Some(name), value)) if name == "reason" => value,
        _ => None,
    });
    let quotes = |reason: &str| {
        credentials.is_some_and(|credentials| reason.contains(credentials.password.reveal()))
    };
    Lost::CloseRequest {
        reason: reason.map(|reason| match quotes(&reason) {
            true => "(a reason that quotes the password)".into(),
            false => reason.into_owned(),
        }),
        at_hello,
    }
}
