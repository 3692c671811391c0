//! What `adapters.xml` at the top of the project says to a Proxy, as far as the playground's Proxies go by it. It must
//! not know what comes of it.

use roxmltree::{Document, ParsingOptions};

const DESCRIPTOR: &str = include_str!("../../adapters.xml");

/// The item in which the Proxy Data Adapter tells of its Remote Adapter's connection; `None` where it has none.
pub(crate) fn status_item() -> Result<Option<String>, String> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(DESCRIPTOR, options)
        .map_err(|error| format!("cannot read adapters.xml: {error}"))?;
    let provider = document
        .descendants()
        .find(|node| node.has_tag_name("data_provider"));
    let parameter = provider.and_then(|provider| {
        provider.children().find(|node| {
            node.has_tag_name("param") && node.attribute("name") == Some("status_item")
        })
    });
    Ok(parameter.and_then(|node| node.text()).map(str::to_owned))
}
