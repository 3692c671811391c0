//! What a Remote Adapter may say at all: every line it sends must pass here, whatever it was asked.

use super::text::{Encoding, decode, encode};

/// A reply, its form checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The request's id.
    pub(crate) id: Vec<u8>,
    /// The request's method.
    pub(crate) method: String,
    /// Everything after it, errors without their message.
    pub(crate) result: String,
    /// The message of an error.
    pub(crate) message: Option<String>,
}

/// Takes a reply to a request with this id apart. The id may be any bytes, so it has to be known.
pub(crate) fn reply(line: &[u8], id: &[u8], encoding: Encoding) -> Result<Reply, String> {
    let escaped = || format!("{}: ", line.escape_ascii());
    let rest = line
        .strip_prefix(id)
        .and_then(|rest| rest.strip_prefix(b"|"))
        .ok_or_else(|| escaped() + "not the id asked under")?;
    let rest = std::str::from_utf8(rest).map_err(|_| escaped() + "not UTF-8")?;
    let mut tokens = rest.split('|');
    let method = tokens.next().unwrap_or_default().to_owned();
    let tokens: Vec<&str> = tokens.collect();
    let mut reply = Reply {
        id: id.to_vec(),
        result: tokens.join("|"),
        message: None,
        method,
    };
    if let [kind, message] = tokens[..]
        && errors(&reply.method).contains(&kind)
    {
        let message = canonical(message, encoding).ok_or_else(|| escaped() + "a bad message")?;
        if message.is_empty() {
            return Err(escaped() + "an error without a message");
        }
        reply.result = kind.to_owned();
        reply.message = Some(message);
        return Ok(reply);
    }
    let fits = match reply.method.as_str() {
        "NUS" | "NUA" => matches!(tokens[..], ["D", "0.0", "B", "0" | "1"]),
        "GIS" | "GSC" => {
            let pairs = tokens.chunks(2);
            let is_name =
                |pair: &[&str]| matches!(pair, ["S", name] if canonical(name, encoding).is_some());
            !tokens.is_empty() && pairs.into_iter().all(is_name)
        }
        "GIT" | "GUI" => tokens.chunks(6).all(is_properties),
        _ => tokens == ["V"],
    };
    if fits {
        Ok(reply)
    } else {
        Err(escaped() + "not a result of its method")
    }
}

/// The errors that each method allows (section 6 and 7 of the protocol).
fn errors(method: &str) -> &'static [&'static str] {
    match method {
        "NUS" | "NUA" => &["EA", "ER", "E"],
        "NNS" => &["EN", "EX", "E"],
        "GIS" => &["EI", "E"],
        "GSC" => &["EI", "ES", "E"],
        "GIT" | "GUI" => &["E"],
        "SUB" | "USB" => &["EU", "EF", "E"],
        _ => &["EN", "E"],
    }
}

fn is_properties(tokens: &[&str]) -> bool {
    let [_, number, _, frequency, _, modes] = tokens else {
        return false;
    };
    tokens.iter().step_by(2).eq(&["I", "D", "M"])
        && number.parse::<i32>().is_ok_and(|number| number >= 0)
        && *frequency == "0.0"
        && matches!(*modes, "D" | "RMDC")
}

/// The value of a token that is neither null nor written in any other way than the right one.
fn canonical(token: &str, encoding: Encoding) -> Option<String> {
    let value = decode(token.as_bytes()).ok()??;
    (encode(encoding, Some(&value)) == token).then_some(value)
}
