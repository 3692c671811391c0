//! How a connection opens: the adapter's `RAC`, the Proxy's init in all its shapes, and the answer
//! it has a right to, by a version table of its own.

use super::codec::Encoding;
use super::connection::Connection;

/// Which of the two Proxies of an Adapter Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The Proxy Metadata Adapter.
    Metadata,
    /// The Proxy Data Adapter.
    Data,
}

impl Side {
    /// The method of this side's init.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Side::Metadata => "MPI",
            Side::Data => "DPI",
        }
    }

    /// What it is called in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Metadata => "metadata",
            Side::Data => "data",
        }
    }

    /// The error type with which a Remote Adapter refuses the init.
    pub(crate) fn refusal(self) -> &'static str {
        match self {
            Side::Metadata => "EM",
            Side::Data => "ED",
        }
    }
}

/// What a Remote Adapter sends before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rac {
    /// The line as it came.
    pub(crate) line: String,
    /// User and password, where configured.
    pub(crate) credentials: Option<(String, String)>,
    /// The name of the product.
    pub(crate) sdk: String,
}

/// The answer that an init must get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// `V`: the init named no version, so ARI 1.8.0.
    Void,
    /// The version agreed.
    Version(String),
    /// A refusal.
    Refused,
}

/// What both sides know after the handshake.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    /// Its first line.
    pub(crate) rac: Rac,
    /// How strings are written from now on.
    pub(crate) encoding: Encoding,
}

/// An init request, built up.
#[derive(Clone, Debug)]
pub(crate) struct Init {
    /// The side whose Proxy sends it.
    pub(crate) side: Side,
    /// The request id.
    pub(crate) id: String,
    parameters: Vec<(String, String)>,
    /// What follows the method when there is no parameter.
    bare: &'static str,
}

impl Init {
    /// What a Proxy of Server 7.4 or later sends.
    pub(crate) fn new(side: Side) -> Self {
        Self::offering(side, "1.9.1")
    }

    /// The same, naming another version.
    pub(crate) fn offering(side: Side, version: &str) -> Self {
        let init = Self::bare(side)
            .with("ARI.version", version)
            .with("keepalive_hint.millis", "8000")
            .with("adapters_conf.id", "PROXY_PYTHONCHAT")
            .with("proxy.instance_id", "hewbc3ikbbctyui");
        match side {
            Side::Metadata => init,
            Side::Data => init.with("data_provider.name", "CHAT_ROOM"),
        }
    }

    /// What an old Proxy sends: parameters, and no version among them.
    pub(crate) fn versionless(side: Side) -> Self {
        Self::new(side)
            .without("ARI.version")
            .without("keepalive_hint.millis")
    }

    /// What the oldest Proxies send: `<id>|MPI`.
    pub(crate) fn bare(side: Side) -> Self {
        Self {
            side,
            id: "10000010c3e4d0462".to_owned(),
            parameters: Vec::new(),
            bare: "",
        }
    }

    /// The other form of it: `<id>|MPI|`.
    pub(crate) fn bare_with_pipe(side: Side) -> Self {
        Self {
            bare: "|",
            ..Self::bare(side)
        }
    }

    /// Sets a parameter, replacing one of this name.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        match self.parameters.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.parameters.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Takes a parameter out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        self
    }

    /// Demands keepalives.
    pub(crate) fn with_hint(self, millis: i64) -> Self {
        self.with("keepalive_hint.millis", &millis.to_string())
    }

    /// Makes no statement about keepalives.
    pub(crate) fn without_hint(self) -> Self {
        self.without("keepalive_hint.millis")
    }

    /// Names the instance of the Proxy.
    pub(crate) fn of_instance(self, id: &str) -> Self {
        self.with("proxy.instance_id", id)
    }

    /// The same parameters, last first.
    pub(crate) fn reversed(mut self) -> Self {
        self.parameters.reverse();
        self
    }

    /// The version offered.
    pub(crate) fn version(&self) -> Option<&str> {
        self.parameters
            .iter()
            .find_map(|(name, value)| (name == "ARI.version").then_some(value.as_str()))
    }

    /// The line, without its end.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{}|{}", self.id, self.side.method());
        if self.parameters.is_empty() {
            line.push_str(self.bare);
        }
        for text in self
            .parameters
            .iter()
            .flat_map(|(name, value)| [name, value])
        {
            line.push_str("|S|");
            line.push_str(&Encoding::Form.encode(Some(text)));
        }
        line
    }

    /// What a Remote Adapter that knows 1.9.1, and less on the metadata connection, must answer.
    pub(crate) fn answer(&self) -> Answer {
        let version = |text: &str| Answer::Version(text.to_owned());
        match (self.side, self.version()) {
            (Side::Metadata, None) => Answer::Void,
            (Side::Metadata, Some("1.8.0" | "1.8.1")) => Answer::Refused,
            (Side::Metadata, Some(same @ ("1.8.2" | "1.8.3" | "1.9.0"))) => version(same),
            (Side::Metadata, Some(other)) if other.starts_with("1.8.") => version("1.8.3"),
            (Side::Data, None | Some("1.9.0")) => Answer::Refused,
            (Side::Data, Some(other)) if other.starts_with("1.8.") => Answer::Refused,
            (_, Some(_)) => version("1.9.1"),
        }
    }

    /// The encoding that goes with the answer.
    pub(crate) fn encoding(&self) -> Encoding {
        match self.answer() {
            Answer::Version(version) if !version.starts_with("1.8.") => Encoding::Smart,
            _ => Encoding::Form,
        }
    }

    /// The line of the answer, unless it is a refusal, whose wording is free.
    pub(crate) fn answer_line(&self) -> Option<String> {
        let head = format!("{}|{}", self.id, self.side.method());
        match self.answer() {
            Answer::Void => Some(format!("{head}|V")),
            Answer::Version(version) => Some(format!("{head}|S|ARI.version|S|{version}")),
            Answer::Refused => None,
        }
    }
}

impl Connection {
    /// Reads the adapter's first line, which must be a `RAC` of exactly the form the protocol gives
    /// it.
    #[track_caller]
    pub(crate) fn expect_rac(&mut self) -> Rac {
        let line = self.expect_line();
        match parse_rac(&line) {
            Some(rac) => rac,
            None => self.fail(&format!("not a proper RAC: {line:?}")),
        }
    }

    /// Does the whole handshake; the adapter must agree as the version table says.
    #[track_caller]
    pub(crate) fn handshake(&mut self, init: &Init) -> Agreement {
        let rac = self.expect_rac();
        self.send_line(init.line());
        match init.answer_line() {
            Some(answer) => self.expect(&answer),
            None => self.fail("this init is to be refused; use expect_refusal"),
        }
        Agreement {
            rac,
            encoding: init.encoding(),
        }
    }

    /// Does the handshake up to its refusal and yields the message of it, decoded.
    #[track_caller]
    pub(crate) fn expect_refusal(&mut self, init: &Init) -> String {
        self.expect_rac();
        self.send_line(init.line());
        let head = format!(
            "{}|{}|{}|",
            init.id,
            init.side.method(),
            init.side.refusal()
        );
        let line = self.expect_matching(&format!("a refusal {head}…"), |line| {
            line.starts_with(&head)
        });
        match Encoding::Form.read(&line[head.len()..]) {
            Ok(Some(message)) if !message.is_empty() => message,
            other => self.fail(&format!("not a proper message of a refusal: {other:?}")),
        }
    }
}

fn parse_rac(line: &str) -> Option<Rac> {
    let arguments = line.strip_prefix("1|RAC|")?;
    let (credentials, rest) = match arguments.strip_prefix("S|user|S|") {
        None => (None, arguments),
        Some(rest) => {
            let (user, rest) = rest.split_once("|S|password|S|")?;
            let (password, rest) = rest.split_once('|')?;
            let read = |token| Encoding::Form.read(token).ok().flatten();
            (Some((read(user)?, read(password)?)), rest)
        }
    };
    let sdk = rest.strip_prefix("S|enableClosePacket|S|true|S|SDK|S|")?;
    if sdk.contains('|') {
        return None;
    }
    Some(Rac {
        line: line.to_owned(),
        credentials,
        sdk: Encoding::Form
            .read(sdk)
            .ok()
            .flatten()
            .filter(|name| !name.is_empty())?,
    })
}
