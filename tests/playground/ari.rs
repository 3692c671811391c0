//! ARI, the line protocol between a Proxy and its Remote Adapter, from the Proxy's side: requests written, replies
//! and notifications taken apart. Lenient in reading, since any adapter may come, of any SDK. Pure functions.

use crate::codec::{Encoding, decode};

/// Which of the two Proxies of an Adapter Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The Proxy Metadata Adapter.
    Metadata,
    /// The Proxy Data Adapter.
    Data,
}

impl Side {
    /// Its name, and that of its connection.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Metadata => "metadata",
            Side::Data => "data",
        }
    }

    /// The method that opens its connection.
    fn init(self) -> &'static str {
        match self {
            Side::Metadata => "MPI",
            Side::Data => "DPI",
        }
    }
}

/// The version the Proxies offer.
pub(crate) const VERSION: &str = "1.9.1";

/// A request whose arguments are strings.
pub(crate) fn request(
    encoding: Encoding,
    id: &str,
    method: &str,
    arguments: &[Option<&str>],
) -> String {
    let mut line = format!("{id}|{method}");
    for argument in arguments {
        line.push_str("|S|");
        line.push_str(&encoding.encode(*argument));
    }
    line
}

/// The request that opens a connection. `instance` stands for the server and for both its Proxies: they begin and end
/// together.
pub(crate) fn init(side: Side, id: &str, instance: &str, keepalive_millis: u32) -> String {
    let hint = keepalive_millis.to_string();
    let mut arguments = vec![
        ("ARI.version", VERSION),
        ("keepalive_hint.millis", &hint),
        ("adapters_conf.id", super::ADAPTER_SET),
        ("proxy.instance_id", instance),
        ("server.instance_id", instance),
    ];
    if side == Side::Data {
        arguments.push(("data_provider.name", super::DATA_ADAPTER));
    }
    let flat: Vec<Option<&str>> = arguments
        .iter()
        .flat_map(|(name, value)| [Some(*name), Some(*value)])
        .collect();
    request(Encoding::Form, id, side.init(), &flat)
}

/// What an adapter says of itself in its first line: its name, if it gives one.
pub(crate) fn hello(line: &str) -> Result<Option<String>, String> {
    let tokens: Vec<&str> = line.split('|').collect();
    if tokens.get(1) != Some(&"RAC") {
        return Err(format!("its first line is not a RAC: {line:?}"));
    }
    let sdk = tokens.windows(4).find(|window| window[1] == "SDK");
    sdk.map_or(Ok(None), |window| decode(window[3]))
}

/// The version an adapter agrees to, and the encoding that goes with it.
pub(crate) fn agreed(side: Side, line: &str) -> Result<(String, Encoding), String> {
    let reply = match parse(line)? {
        Line::Reply(reply) if reply.method == side.init() => reply,
        _ => return Err(format!("not an answer to {}: {line:?}", side.init())),
    };
    let arguments = reply
        .result
        .map_err(|refusal| format!("it refuses: {}", refusal.message))?;
    let version = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // How an adapter agrees to the protocol's first version, which had no number yet.
        ["V"] => "1.8.0".to_owned(),
        ["S", "ARI.version", "S", version] => version.to_owned(),
        _ => return Err(format!("no version in {line:?}")),
    };
    let encoding = match version.as_str() {
        old if old.starts_with("1.8.") => Encoding::Form,
        new if new.starts_with("1.9.") => Encoding::Smart,
        _ => return Err(format!("ARI {version} was never offered")),
    };
    Ok((version, encoding))
}

/// A line of an adapter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Nothing but a sign of life.
    Keepalive,
    /// The answer to a request.
    Reply(Reply),
    /// The snapshot of an item is complete.
    EndOfSnapshot(Origin),
    /// The snapshot of an item is void.
    ClearSnapshot(Origin),
    /// Something happened to an item.
    Update(Origin, Update),
    /// The adapter gives itself up.
    Failure(String),
}

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The id of the request.
    pub(crate) id: String,
    /// Its method.
    pub(crate) method: String,
    /// Types and values as they came, escapes and all.
    pub(crate) result: Result<Vec<String>, Refusal>,
}

/// An error in a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Its letter, if it has one.
    pub(crate) kind: Option<char>,
    /// For whoever reads logs.
    pub(crate) message: String,
    /// For the client: a code, zero or negative, and a message.
    pub(crate) for_client: Option<(i32, String)>,
}

/// The item a notification is about, and the subscription it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The item.
    pub(crate) item: String,
    /// The id of the SUB request.
    pub(crate) subscription: String,
}

/// An event of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    /// Whether it tells of the past.
    pub(crate) is_snapshot: bool,
    /// Names and values.
    pub(crate) fields: Vec<(String, Option<String>)>,
}

impl Update {
    /// The value of a field; null where there is none.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(known, _)| known == name);
        field.and_then(|(_, value)| value.as_deref())
    }
}

/// Properties of an item, in the replies to `GIT` and `GUI`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Properties {
    /// The length of the distinct history (`GIT`), or the buffer size (`GUI`).
    pub(crate) number: usize,
    /// The letters of the modes allowed.
    pub(crate) modes: String,
}

/// Takes a line apart.
pub(crate) fn parse(line: &str) -> Result<Line, String> {
    if line == "KEEPALIVE" {
        return Ok(Line::Keepalive);
    }
    let wrong = |what: &str| format!("{what}: {line:?}");
    let tokens: Vec<&str> = line.split('|').collect();
    let [id, method, ref rest @ ..] = tokens[..] else {
        return Err(wrong("neither a reply nor a notification"));
    };
    Ok(match method {
        "EOS" | "CLS" | "UD3" => {
            let ["S", item, "S", subscription, ref rest @ ..] = *rest else {
                return Err(wrong("no item and no subscription"));
            };
            let origin = Origin {
                item: text(item)?,
                subscription: text(subscription)?,
            };
            match method {
                "EOS" => Line::EndOfSnapshot(origin),
                "CLS" => Line::ClearSnapshot(origin),
                _ => Line::Update(origin, update(rest).map_err(|what| wrong(&what))?),
            }
        }
        "FAL" => Line::Failure(text(rest.last().unwrap_or(&"$"))?),
        _ => Line::Reply(Reply {
            id: id.to_owned(),
            method: method.to_owned(),
            result: match rest.first() {
                Some(error) if error.starts_with('E') => Err(refusal(rest)?),
                _ => Ok(rest.iter().map(ToString::to_string).collect()),
            },
        }),
    })
}

fn update(tokens: &[&str]) -> Result<Update, String> {
    let ["B", flag, ref fields @ ..] = *tokens else {
        return Err("no snapshot flag".to_owned());
    };
    let fields = fields.chunks(4).map(|field| match *field {
        ["S", name, "S", value] => Ok((text(name)?, decode(value)?)),
        _ => Err("not a field".to_owned()),
    });
    Ok(Update {
        is_snapshot: flag == "1",
        fields: fields.collect::<Result<_, String>>()?,
    })
}

fn refusal(tokens: &[&str]) -> Result<Refusal, String> {
    let for_client = match *tokens {
        ["EC", _, code, message] => code
            .parse()
            .ok()
            .filter(|code| *code <= 0)
            .map(|code| Ok::<_, String>((code, text(message)?)))
            .transpose()?,
        _ => None,
    };
    Ok(Refusal {
        kind: tokens[0].chars().nth(1),
        message: text(tokens.get(1).unwrap_or(&"$"))?,
        for_client,
    })
}

/// The strings of a reply to `GIS` or `GSC`.
pub(crate) fn strings(arguments: &[String]) -> Result<Vec<String>, String> {
    let pairs = arguments.chunks(2).map(|pair| match pair {
        [kind, value] if kind == "S" => text(value),
        _ => Err(format!("not a list of strings: {arguments:?}")),
    });
    pairs.collect()
}

/// The properties in a reply to `GIT` or `GUI`.
pub(crate) fn properties(arguments: &[String]) -> Result<Vec<Properties>, String> {
    let items = arguments.chunks(6).map(|item| match item {
        [i, number, d, _, m, modes] if (&**i, &**d, &**m) == ("I", "D", "M") => Ok(Properties {
            // A negative length is as good as none.
            number: number.parse().unwrap_or(0),
            modes: modes.trim_matches(['#', '$']).to_owned(),
        }),
        _ => Err(format!("not properties of items: {arguments:?}")),
    });
    items.collect()
}

/// A string that may not be null, or is empty then.
fn text(token: &str) -> Result<String, String> {
    decode(token).map(Option::unwrap_or_default)
}

/// A line as one may show it: without passwords.
pub(crate) fn without_secrets(line: &str) -> String {
    let mut tokens: Vec<&str> = line.split('|').collect();
    let secret = match tokens.get(1) {
        Some(&"RAC") => tokens[2..]
            .chunks(4)
            .position(|pair| pair.get(1) == Some(&"password"))
            .map(|pair| 2 + 4 * pair + 3),
        // Of the request: the reply has no string in it.
        Some(&("NUS" | "NUA")) if tokens.get(4) == Some(&"S") => Some(5),
        _ => None,
    };
    if let Some(secret) = secret.and_then(|at| tokens.get_mut(at))
        && *secret != "#"
    {
        *secret = "***";
    }
    tokens.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agreement_names_the_encoding() {
        let agreed = |line| agreed(Side::Metadata, line);
        let version = |text: &str, encoding| Ok((text.to_owned(), encoding));
        assert_eq!(agreed("1|MPI|V"), version("1.8.0", Encoding::Form));
        assert_eq!(
            agreed("1|MPI|S|ARI.version|S|1.8.3"),
            version("1.8.3", Encoding::Form)
        );
        assert_eq!(
            agreed("1|MPI|S|ARI.version|S|1.9.1"),
            version("1.9.1", Encoding::Smart)
        );
        for wrong in [
            "1|MPI|EM|no+way",
            "1|MPI|S|ARI.version|S|2.0",
            "1|DPI|V",
            "hello",
            "1|MPI",
        ] {
            assert!(agreed(wrong).is_err(), "{wrong}");
        }
        assert_eq!(agreed("1|MPI|EM|no+way").unwrap_err(), "it refuses: no way");
    }

    #[test]
    fn lines_are_taken_apart() {
        let parse = |line| parse(line).unwrap();
        assert_eq!(parse("KEEPALIVE"), Line::Keepalive);
        let origin = || Origin {
            item: "chat_room".into(),
            subscription: "7".into(),
        };
        assert_eq!(
            parse("1|EOS|S|chat_room|S|7"),
            Line::EndOfSnapshot(origin())
        );
        assert_eq!(
            parse("1|UD3|S|chat_room|S|7|B|0|S|message|S|a%7Cb|S|IP|S|#"),
            Line::Update(
                origin(),
                Update {
                    is_snapshot: false,
                    fields: vec![("message".into(), Some("a|b".into())), ("IP".into(), None)],
                }
            )
        );
        let Line::Reply(reply) = parse("9|NUM|EC|log|-3|for you") else {
            panic!("a reply")
        };
        let refusal = reply.result.unwrap_err();
        assert_eq!(refusal.kind, Some('C'));
        assert_eq!(refusal.for_client, Some((-3, "for you".into())));
    }

    #[test]
    fn nonsense_is_an_error_and_no_panic() {
        for line in [
            "",
            "x",
            "1|EOS",
            "1|EOS|S|a",
            "1|UD3|S|a|S|b",
            "1|UD3|S|a|S|b|B|0|S|x",
            "1|UD3|S|a|S|b|B|0|S|x|S|%zz",
            "1|NUM|E|%4",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(strings(&["S".into()]).is_err());
        assert!(properties(&["I".into()]).is_err());
    }

    #[test]
    fn replies_carry_lists() {
        let split = |line: &str| line.split('|').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(strings(&split("S|a+b|S|c")).unwrap(), ["a b", "c"]);
        let items = properties(&split("I|30|D|0.0|M|D|I|-1|D|0|M|#")).unwrap();
        assert_eq!((items[0].number, &*items[0].modes), (30, "D"));
        assert_eq!((items[1].number, &*items[1].modes), (0, ""));
    }

    #[test]
    fn passwords_are_not_shown() {
        for (line, shown) in [
            ("1|NUS|S|u|S|pw|S|x|S|y", "1|NUS|S|u|S|***|S|x|S|y"),
            ("1|NUS|S|#|S|#", "1|NUS|S|#|S|#"),
            ("1|NUS|D|0.0|B|0", "1|NUS|D|0.0|B|0"),
            (
                "1|RAC|S|user|S|u|S|password|S|pw|S|SDK|S|x",
                "1|RAC|S|user|S|u|S|password|S|***|S|SDK|S|x",
            ),
            (
                "1|RAC|S|user|S|password|S|password|S|pw",
                "1|RAC|S|user|S|password|S|password|S|***",
            ),
            ("1|NUM|S|password|S|x", "1|NUM|S|password|S|x"),
        ] {
            assert_eq!(without_secrets(line), shown);
        }
    }
}
