//! TLCP, the text protocol between clients and a server, as far as a chat needs it: frames taken apart, lines and
//! values put together and read back. Pure functions; what a request means is none of their business.

use std::fmt::Write as _;

/// The name of the protocol in a WebSocket handshake.
pub(crate) const SUBPROTOCOL: &str = "TLCP-2.5.0.lightstreamer.com";

/// Error codes a client knows. (A negative code or zero would be the adapter's own.)
pub(crate) mod code {
    /// Login refused.
    pub(crate) const ACCESS: i32 = 1;
    /// No such Adapter Set.
    pub(crate) const ADAPTER_SET: i32 = 2;
    /// The session cannot be taken up again.
    pub(crate) const RECOVERY: i32 = 4;
    /// There is nobody to ask just now: official clients try again by themselves.
    pub(crate) const TRY_AGAIN: i32 = 6;
    /// No such Data Adapter.
    pub(crate) const DATA_ADAPTER: i32 = 17;
    /// No such subscription.
    pub(crate) const SUBSCRIPTION: i32 = 19;
    /// No such session.
    pub(crate) const SESSION: i32 = 20;
    /// The group of items is refused.
    pub(crate) const GROUP: i32 = 21;
    /// The schema of fields is refused.
    pub(crate) const SCHEMA: i32 = 23;
    /// The items cannot be had in this mode.
    pub(crate) const MODE: i32 = 24;
    /// A message of this number came before.
    pub(crate) const PROGRESSIVE_TOO_LOW: i32 = 32;
    /// A message of this number is waiting.
    pub(crate) const PROGRESSIVE_TWICE: i32 = 33;
    /// The adapter refuses the message.
    pub(crate) const REFUSED: i32 = 34;
    /// The adapter failed over the message.
    pub(crate) const MESSAGE_FAILED: i32 = 35;
    /// Messages of a sequence that never came; the text is their number.
    pub(crate) const SKIPPED: i32 = 39;
    /// There is no such request.
    pub(crate) const UNKNOWN: i32 = 65;
    /// The adapter failed over something else.
    pub(crate) const ADAPTER_FAILED: i32 = 66;
    /// The request is malformed.
    pub(crate) const MALFORMED: i32 = 67;
}

/// One request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// What it asks for, such as `control`.
    pub(crate) name: String,
    parameters: Vec<(String, String)>,
}

/// A request that cannot be served: which it is, if it says so, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Its `LS_reqId`.
    pub(crate) id: Option<String>,
    /// One of [`code`].
    pub(crate) code: i32,
    /// What is wrong with it.
    pub(crate) text: String,
}

impl Request {
    /// A parameter; an empty one counts as absent, as the official clients leave it out.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// A parameter, which may be empty.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        let known = self.parameters.iter().find(|(known, _)| known == name);
        known.map(|(_, value)| value.as_str())
    }

    /// A parameter that must be there.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Refused> {
        self.get(name)
            .ok_or_else(|| self.refused(code::MALFORMED, format!("{name} is missing")))
    }

    /// A parameter that must be a number if it is there.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Refused> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = value.parse().map(Some);
        number.map_err(|_| self.refused(code::MALFORMED, format!("{name} is not a number")))
    }

    /// A parameter that is true unless it says `false`.
    pub(crate) fn unless_false(&self, name: &str) -> bool {
        self.get(name) != Some("false")
    }

    /// The refusal of this request.
    pub(crate) fn refused(&self, code: i32, text: impl Into<String>) -> Refused {
        Refused {
            id: self.get("LS_reqId").map(str::to_owned),
            code,
            text: text.into(),
        }
    }
}

impl Refused {
    /// The line that says so: `ERROR` where the request has no id to be named by.
    pub(crate) fn line(&self) -> String {
        let Refused { id, code, text } = self;
        match id {
            Some(id) => line("REQERR", &[id, &code.to_string(), text]),
            None => line("ERROR", &[&code.to_string(), text]),
        }
    }
}

/// Takes a frame apart: a name on its first line, then one request of that name a line.
pub(crate) fn parse(frame: &str) -> Vec<Result<Request, Refused>> {
    let mut lines = frame.lines();
    let name = lines.next().unwrap_or_default();
    let bodies: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    if bodies.is_empty() {
        return vec![parse_one(name, "")];
    }
    let requests = bodies.into_iter().map(|body| parse_one(name, body));
    requests.collect()
}

fn parse_one(name: &str, body: &str) -> Result<Request, Refused> {
    let mut request = Request {
        name: name.to_owned(),
        parameters: Vec::new(),
    };
    let mut problem = None;
    for pair in body.split('&').filter(|pair| !pair.is_empty()) {
        let decoded = pair
            .split_once('=')
            .and_then(|(name, value)| Some((unescape(name)?, unescape(value)?)));
        match decoded {
            Some(pair) => request.parameters.push(pair),
            None => problem = Some(pair),
        }
    }
    match problem {
        None => Ok(request),
        Some(pair) => {
            let start: String = pair.chars().take(60).collect();
            let text = format!("not a parameter and its value: {start:?}");
            Err(request.refused(code::MALFORMED, text))
        }
    }
}

/// A line of the server, its end included; whatever could end an argument early is escaped.
pub(crate) fn line(tag: &str, arguments: &[&str]) -> String {
    let mut line = tag.to_owned();
    for argument in arguments {
        line.push(',');
        escape(
            argument,
            |c| matches!(c, '\r' | '\n' | '%' | ','),
            &mut line,
        );
    }
    line.push_str("\r\n");
    line
}

/// An update's line. `None` among the values stands for "as before", an inner `None` for null.
pub(crate) fn update(subscription: u64, item: usize, values: &[Option<Option<&str>>]) -> String {
    let mut line = format!("U,{subscription},{item},");
    for (n, value) in values.iter().enumerate() {
        if n > 0 {
            line.push('|');
        }
        match value {
            None => {}
            Some(None) => line.push('#'),
            Some(Some("")) => line.push('$'),
            Some(Some(text)) => {
                let lead = text.chars().next().filter(|c| matches!(c, '#' | '$' | '^'));
                if let Some(lead) = lead {
                    escape(lead.encode_utf8(&mut [0; 4]), |_| true, &mut line);
                }
                let rest = &text[lead.map_or(0, char::len_utf8)..];
                escape(rest, |c| matches!(c, '\r' | '\n' | '%' | '|'), &mut line);
            }
        }
    }
    line.push_str("\r\n");
    line
}

/// Reads the values of an update, given those before it.
pub(crate) fn values(text: &str, before: &mut [Option<String>]) -> Option<()> {
    let mut at = 0;
    for token in text.split('|') {
        if let Some(count) = token.strip_prefix('^') {
            at += count.parse::<usize>().ok()?;
            continue;
        }
        let value = before.get_mut(at)?;
        at += 1;
        match token {
            "" => {}
            "#" => *value = None,
            "$" => *value = Some(String::new()),
            _ => *value = Some(unescape(token)?),
        }
    }
    (at == before.len()).then_some(())
}

/// Undoes percent-encoding; `None` for a bad escape and for what is not UTF-8.
pub(crate) fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Percent-encodes a value of a request.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    escape(text, |c| !c.is_ascii_alphanumeric(), &mut out);
    out
}

fn escape(text: &str, reserved: impl Fn(char) -> bool, out: &mut String) {
    for c in text.chars() {
        if reserved(c) {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(out, "%{byte:02X}"); // a String takes everything
            }
        } else {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(frame: &str) -> Request {
        let mut requests = parse(frame);
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0).unwrap()
    }

    #[test]
    fn a_frame_is_a_name_and_a_line_of_parameters() {
        let request = one("msg\r\nLS_reqId=2&LS_message=CHAT%7Ca%20%2B+%25%26%3D&LS_msg_prog=1");
        assert_eq!(request.name, "msg");
        assert_eq!(request.get("LS_message"), Some("CHAT|a ++%&="));
        assert_eq!(request.number("LS_msg_prog"), Ok(Some(1)));
        assert_eq!(request.get("LS_sequence"), None);
        assert!(request.unless_false("LS_ack"));
    }

    #[test]
    fn a_frame_may_hold_several_requests() {
        let ids: Vec<_> = parse("control\r\nLS_reqId=1&LS_op=add\r\nLS_reqId=2&LS_op=delete\r\n")
            .into_iter()
            .map(|request| request.unwrap().number("LS_reqId").unwrap())
            .collect();
        assert_eq!(ids, [Some(1), Some(2)]);
    }

    #[test]
    fn a_name_may_stand_alone() {
        for frame in ["wsok", "wsok\r\n", "wsok\r\n\r\n"] {
            assert_eq!(one(frame).name, "wsok");
        }
        assert_eq!(one("").name, "");
    }

    #[test]
    fn a_malformed_request_is_named_by_its_id_if_it_has_one() {
        for body in ["LS_op", "LS_message=%4", "LS_message=%zz", "x=%FF"] {
            let frame = format!("control\r\nLS_reqId=7&{body}");
            let refused = parse(&frame).remove(0).unwrap_err();
            assert!(refused.line().starts_with("REQERR,7,67,not a parameter"));
            let refused = parse(&format!("control\r\n{body}")).remove(0).unwrap_err();
            assert!(refused.line().starts_with("ERROR,67,not a parameter"));
        }
        let refused = one("msg\r\nLS_msg_prog=x").number("LS_msg_prog");
        assert_eq!(
            refused.unwrap_err().line(),
            "ERROR,67,LS_msg_prog is not a number\r\n"
        );
    }

    #[test]
    fn arguments_cannot_break_out_of_their_line() {
        assert_eq!(
            line("CONERR", &["1", "no, 100%\r\nU,1"]),
            "CONERR,1,no%2C 100%25%0D%0AU%2C1\r\n"
        );
    }

    #[test]
    fn values_are_read_back_as_they_were() {
        let texts = [
            "a|b",
            "50% + é 😀",
            "#",
            "$",
            "^1",
            "#a",
            "a#",
            "",
            "\r\n",
            "|",
        ];
        for text in texts {
            let line = update(3, 1, &[Some(None), Some(Some(text)), None]);
            let tokens = line
                .strip_prefix("U,3,1,")
                .and_then(|l| l.strip_suffix("\r\n"));
            let mut before = [Some("x".into()), None, Some("kept".into())];
            values(tokens.unwrap(), &mut before).unwrap();
            assert_eq!(before, [None, Some(text.into()), Some("kept".into())]);
        }
    }

    #[test]
    fn runs_of_unchanged_values_are_understood() {
        let mut before = [Some("a".into()), Some("b".into()), Some("c".into())];
        values("^2|z", &mut before).unwrap();
        assert_eq!(before, ["a", "b", "z"].map(|text| Some(text.into())));
        for wrong in ["a|b", "a|b|c|d", "^4", "^x|a", "%|a|b"] {
            assert_eq!(values(wrong, &mut before), None, "{wrong}");
        }
    }
}
