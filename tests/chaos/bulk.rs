//! Events by the megabyte: the same checks as the stand-in's, in the time that a short run has.

use crate::standin::{Encoding, Update};

/// Shorter lines are no bulk.
const LONG: usize = 8 << 10;

/// A text of about this size, the same in both encodings.
pub(crate) fn text(number: u64, size: usize) -> String {
    format!("{number}_{}", "bulk".repeat(size / 4))
}

/// Takes a line apart, if it is a long event.
pub(crate) fn update(line: &str) -> Option<Result<Update, String>> {
    let is_bulk = line.len() > LONG && line.split('|').nth(1) == Some("UD3");
    is_bulk.then(|| parse(line))
}

fn parse(line: &str) -> Result<Update, String> {
    let tokens: Vec<&str> = line.split('|').collect();
    let [
        millis,
        _,
        "S",
        item,
        "S",
        subscription,
        "B",
        snapshot,
        fields @ ..,
    ] = &tokens[..]
    else {
        return Err("not an event".to_owned());
    };
    let fields = fields.chunks(4).map(|field| match field {
        ["S", name, "S", value] => Ok(((*name).to_owned(), read(value)?)),
        other => Err(format!("not a field: {other:.100?}")),
    });
    Ok(Update {
        millis: millis
            .parse()
            .map_err(|_| format!("not a time: {millis}"))?,
        item: (*item).to_owned(),
        subscription: (*subscription).to_owned(),
        snapshot: *snapshot != "0",
        fields: fields.collect::<Result<_, String>>()?,
    })
}

/// A long token is what it is; a short one is read as ever.
fn read(token: &str) -> Result<Option<String>, String> {
    match token.len() > LONG / 2 && !token.contains('%') && !token.contains('+') {
        true => Ok(Some(token.to_owned())),
        false => Encoding::Smart.read(token),
    }
}
