//! What a Remote Adapter sends once the handshake is done, taken apart and checked for form:
//! replies, errors, notifications. It must not know what was asked.

use super::codec::Encoding;

/// A reply: `<id>|<METHOD>|<result>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The id of the request it answers.
    pub(crate) id: String,
    /// The method of the request it answers.
    pub(crate) method: String,
    /// Everything after the method, as it came; empty where the reply is a list of nothing.
    pub(crate) result: String,
}

/// An error result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// `E` or `E` and a letter.
    pub(crate) kind: String,
    /// The message, decoded.
    pub(crate) message: String,
}

/// An event of an item: `UD3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    /// When it happened, in milliseconds since the epoch.
    pub(crate) millis: u64,
    /// The item.
    pub(crate) item: String,
    /// The id of the SUB request it belongs to.
    pub(crate) subscription: String,
    /// Whether it is part of the snapshot.
    pub(crate) snapshot: bool,
    /// Names and values, in the order sent.
    pub(crate) fields: Vec<(String, Option<String>)>,
}

/// The fields of an update of the chat's item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chat {
    /// The sender's address.
    pub(crate) ip: String,
    /// The sender's user agent.
    pub(crate) nick: String,
    /// The text.
    pub(crate) message: String,
    /// Local time of the adapter, `HH:MM:SS`.
    pub(crate) timestamp: String,
    /// Milliseconds since the epoch.
    pub(crate) raw_timestamp: u64,
}

/// Any line of the data connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The answer to a request.
    Reply(Reply),
    /// `EOS`.
    EndOfSnapshot {
        /// The item whose snapshot is complete.
        item: String,
        /// The id of the SUB request it belongs to.
        subscription: String,
    },
    /// `UD3`.
    Update(Update),
    /// `CLS`.
    Clear {
        /// The item whose snapshot is void.
        item: String,
        /// The id of the SUB request it belongs to.
        subscription: String,
    },
    /// `FAL`.
    Failure(String),
}

impl Reply {
    /// Takes a reply apart.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let mut parts = line.splitn(3, '|');
        match (parts.next(), parts.next()) {
            (Some(id), Some(method)) if !id.is_empty() && !method.is_empty() => Ok(Self {
                id: id.to_owned(),
                method: method.to_owned(),
                result: parts.next().unwrap_or_default().to_owned(),
            }),
            _ => Err(format!("not a reply: {line:?}")),
        }
    }

    /// Whether it is the plain success of a request that asks for nothing back.
    pub(crate) fn is_void(&self) -> bool {
        self.result == "V"
    }

    /// The error in it, if it is one.
    ///
    /// # Errors
    /// If it looks like an error and is not properly written.
    pub(crate) fn error(&self, encoding: Encoding) -> Result<Option<ServerError>, String> {
        let (kind, rest) = self.result.split_once('|').unwrap_or((&self.result, ""));
        if !matches!(
            kind,
            "E" | "EM" | "ED" | "EA" | "ER" | "EC" | "EX" | "EI" | "ES" | "EN" | "EU" | "EF"
        ) {
            return Ok(None);
        }
        let mut tokens = rest.split('|');
        let message = encoding.read(tokens.next().unwrap_or_default())?;
        let extra = tokens.count();
        if extra != if kind == "EC" { 2 } else { 0 } {
            return Err(format!("{extra} more tokens after the message: {self:?}"));
        }
        match message {
            Some(message) if !message.is_empty() => Ok(Some(ServerError {
                kind: kind.to_owned(),
                message,
            })),
            _ => Err(format!("an error that says nothing: {self:?}")),
        }
    }
}

impl Event {
    /// Takes a line of the data connection apart.
    pub(crate) fn parse(line: &str, encoding: Encoding) -> Result<Self, String> {
        let mut tokens = line.split('|');
        let head = tokens.next().unwrap_or_default();
        let method = tokens.next().unwrap_or_default();
        let tokens: Vec<&str> = tokens.collect();
        let event = match method {
            "EOS" | "CLS" => {
                let [item, subscription] = strings(&tokens, encoding)?
                    .try_into()
                    .map_err(|_| format!("not two arguments: {line:?}"))?;
                match method {
                    "EOS" => Self::EndOfSnapshot { item, subscription },
                    _ => Self::Clear { item, subscription },
                }
            }
            "UD3" => Self::Update(update(millis(head)?, &tokens, encoding)?),
            "FAL" => match tokens[..] {
                ["E", message] => Self::Failure(encoding.read(message)?.unwrap_or_default()),
                _ => return Err(format!("not a proper failure: {line:?}")),
            },
            _ => return Reply::parse(line).map(Self::Reply),
        };
        millis(head)?;
        Ok(event)
    }
}

impl Update {
    /// The value of a field; `None` where it is null or missing.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, value)| value.as_deref())
    }

    /// The chat's fields: exactly these five, in their order, none null.
    pub(crate) fn chat(&self) -> Result<Chat, String> {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        if names != ["IP", "nick", "message", "timestamp", "raw_timestamp"] {
            return Err(format!("not the chat's fields: {names:?}"));
        }
        let value = |name: &str| {
            self.field(name)
                .map(str::to_owned)
                .ok_or_else(|| format!("{name} is null"))
        };
        Ok(Chat {
            ip: value("IP")?,
            nick: value("nick")?,
            message: value("message")?,
            timestamp: value("timestamp")?,
            raw_timestamp: millis(&value("raw_timestamp")?)?,
        })
    }
}

fn update(millis: u64, tokens: &[&str], encoding: Encoding) -> Result<Update, String> {
    let flag = match tokens.get(4..6) {
        Some(["B", "0"]) => false,
        Some(["B", "1"]) => true,
        other => return Err(format!("not a snapshot flag: {other:?}")),
    };
    let [item, subscription] = strings(&tokens[..4], encoding)?
        .try_into()
        .map_err(|_| "not an item and a subscription".to_owned())?;
    let pairs = tokens[6..].chunks(4);
    let fields = pairs.map(|pair| match pair {
        ["S", name, "S", value] => {
            let name = encoding.read(name)?.ok_or("a field without a name")?;
            Ok((name, encoding.read(value)?))
        }
        other => Err(format!("not a field: {other:?}")),
    });
    Ok(Update {
        millis,
        item,
        subscription,
        snapshot: flag,
        fields: fields.collect::<Result<_, String>>()?,
    })
}

/// Strings that may not be null.
fn strings(tokens: &[&str], encoding: Encoding) -> Result<Vec<String>, String> {
    let pairs = tokens.chunks(2).map(|pair| match pair {
        ["S", token] => encoding
            .read(token)?
            .ok_or_else(|| "null where a text is due".to_owned()),
        other => Err(format!("not a string: {other:?}")),
    });
    pairs.collect()
}

/// A time as the protocol writes it: decimal digits and nothing else.
fn millis(token: &str) -> Result<u64, String> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("not a time: {token:?}"));
    }
    token.parse().map_err(|_| format!("not a time: {token:?}"))
}
