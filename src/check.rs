//! `--check`: what a start would make of the options, short of connecting. It takes nothing and
//! changes nothing, so that it can be run beside the service.

use crate::adapter::read_credentials;
use crate::chat::SessionStore;
use crate::server::file::When;
use crate::{Config, StartError, time_zone};

/// Adds a line to `found` for each thing that a start would find, and for what the server must have.
///
/// # Errors
/// [`StartError`], as a start would give it.
pub fn check(config: &Config, found: &mut Vec<String>) -> Result<(), StartError> {
    let Config { servers, .. } = config;
    let credentials = read_credentials(servers, &config.credentials, When::Start)?;
    found.push(config.to_string());
    found.push(format!("credentials: {}", credentials.origin));
    found.extend(credentials.warnings);
    if let Some(path) = config.state_file() {
        found.push(SessionStore::describe(&path).map_err(|why| config.no_state(&why))?);
    }
    time_zone::local(); // for what it warns of
    Ok(servers.check(config.metadata_port, config.data_port, found)?)
}
