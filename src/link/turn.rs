//! The requests of one read: each line taken, answered by the handler or refused here (section 8).

use super::LinkConfig;
use super::conversation::close_request;
use super::lost::Lost;
use super::sparing::{Sparing, Verdict};
use crate::ari::handler::{Batch, Call};
use crate::ari::line::{Line, MAX_LINE};
use crate::ari::reply::ErrorKind;
use crate::ari::request::{Head, Malformed, Method, QuickMessage, Request};
use crate::ari::text::Encoding;
use crate::shown::{Shown, ShownLine};
use std::fmt;

/// One read's worth of a conversation.
pub struct Turn<'a, B> {
    /// The connection's name in the log.
    pub name: &'a str,
    /// The link's settings.
    pub config: &'a LinkConfig,
    /// How strings are written.
    pub encoding: Encoding,
    /// What serves the requests.
    pub batch: B,
    /// Where replies are appended.
    pub replies: &'a mut Vec<u8>,
    /// Whether each request is logged.
    pub verbose: bool,
    /// Whether users' messages may come and go the quick way.
    pub quick: bool,
    /// Rations what the peer can provoke.
    pub warnings: &'a mut Sparing,
}

impl<B: Batch> Turn<'_, B> {
    /// Takes one line.
    ///
    /// # Errors
    /// [`Lost`], when it ends the connection.
    pub fn line(&mut self, line: Line<'_>) -> Result<(), Lost> {
        if self.quick
            && let Line::Complete(line) = line
            && let Some(quick) = QuickMessage::of(line, B::PREFIX)
            && self.message(quick)
        {
            return Ok(());
        }
        self.ordinary_line(line)
    }

    fn ordinary_line(&mut self, line: Line<'_>) -> Result<(), Lost> {
        let (line, too_long) = match line {
            Line::Complete(line) => (line, false),
            Line::TooLong(head) => (head, true),
        };
        if self.verbose {
            // The log may block, which nobody else shall have to wait for.
            self.batch.commit();
            log::trace!("{} -> {}", self.name, ShownLine(line));
        }
        let Some(head) = Head::of(line) else {
            if !line.trim_ascii().is_empty() {
                self.skip("a line without method", line);
            }
            return Ok(());
        };
        let method = Method::named(head.method);
        let Some(method) = method.filter(|method| self.may_come(*method)) else {
            self.skip("an unknown method", line);
            return Ok(());
        };
        let call = Call {
            id: head.id,
            method,
            encoding: self.encoding,
        };
        if too_long {
            self.refuse(call, &format!("the line is longer than {MAX_LINE} bytes"));
            return Ok(());
        }
        self.request(call, Request::parse(method, head.args))
    }

    /// Serves a message, unless something is wrong with it, which the ordinary way will tell.
    #[inline]
    fn message(&mut self, quick: QuickMessage<'_>) -> bool {
        let call = Call {
            id: quick.id,
            method: Method::Num,
            encoding: self.encoding,
        };
        self.batch.message(call, quick, self.replies).is_ok()
    }

    fn request<'r>(
        &mut self,
        call: Call<'r>,
        request: Result<Request<'r>, Malformed>,
    ) -> Result<(), Lost> {
        let served = match request {
            Ok(Request::Close(params)) => {
                let credentials = self.config.credentials();
                return Err(close_request(params, credentials.as_ref(), None));
            }
            Ok(Request::Init(_)) => {
                return Err(Lost::Protocol(format!("a second init: {}", call.method)));
            }
            Ok(request) => self.batch.serve(call, request, self.replies),
            Err(malformed) => Err(malformed),
        };
        match served {
            Ok(()) if self.verbose => self.log(call),
            Ok(()) => {}
            Err(malformed) => self.refuse(call, &malformed.to_string()),
        }
        Ok(())
    }

    /// An init is never merely unknown: a second one breaks the rules, whichever it is.
    fn may_come(&self, method: Method) -> bool {
        let is_init = matches!(method, Method::Mpi | Method::Dpi);
        is_init || method.side().is_none_or(|side| side == self.config.side)
    }

    fn log(&mut self, call: Call<'_>) {
        self.batch.commit();
        let replies = self.replies.trim_ascii_end();
        let start = memchr::memrchr(b'\n', replies).map_or(0, |end| end + 1);
        let reply = &replies[start..];
        let answer = Head::of(reply).map_or(reply, |head| {
            let said = head.id.len() + head.method.len() + 2;
            reply.get(said..).unwrap_or_default()
        });
        log::debug!(
            "{}: {} {} answered {}",
            self.name,
            call.method,
            Shown(call.id),
            Shown(answer)
        );
    }

    fn skip(&mut self, what: &str, line: &[u8]) {
        self.warn(format_args!("{what}, skipped: {}", ShownLine(line)));
    }

    fn refuse(&mut self, call: Call<'_>, why: &str) {
        let (method, id) = (call.method, Shown(call.id));
        // What is wrong may quote an argument, and that of a login may be a password, which is
        // not for anybody's log, the server's included.
        let why = match method.is_secret() {
            true => "its arguments are not what they should be",
            false => why,
        };
        self.warn(format_args!(
            "malformed {method} {id}, answered with an error: {why}"
        ));
        call.reply(self.replies).error(ErrorKind::Generic, why);
    }

    fn warn(&mut self, what: fmt::Arguments<'_>) {
        self.batch.commit();
        let name = self.name;
        match self.warnings.judge() {
            Verdict::Count => return,
            Verdict::SayAfter(unsaid) => {
                log::warn!("{name}: {unsaid} warnings like the next one were not written");
            }
            Verdict::Say => {}
        }
        log::warn!("{name}: {what}");
    }
}
