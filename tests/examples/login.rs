//! A metadata adapter that lets in `user1` with the password `pwd1`, and nobody else.
//!
//! `cargo run --example login [HOST [PORT]]` (localhost, 6663)

use chat_adapter::provider::{MetadataError, MetadataProvider, Parameters};
use chat_adapter::server::{Servers, StartError};

pub(crate) struct Login;

// Who is in may do everything: where there is no method here, the default of the official kits holds.
impl MetadataProvider for Login {
    fn notify_user(
        &mut self,
        user: Option<&str>,
        password: Option<&str>,
        _http_headers: &Parameters<'_>,
    ) -> Result<(), MetadataError> {
        if (user, password) == (Some("user1"), Some("pwd1")) {
            return Ok(());
        }
        Err(MetadataError::Credits {
            code: -1,
            message: "A login was refused".into(), // for the server's log
            user_message: Some("Wrong user or password".into()), // for the client
        })
    }
}

fn main() -> Result<(), StartError> {
    env_logger::builder().parse_filters("info").init();
    let argument = |n, default: &str| std::env::args().nth(n).unwrap_or(default.into());
    let port = argument(2, "6663").parse().expect("a port");
    let servers = Servers::builder().host(argument(1, "localhost"));
    servers.metadata(port, || Login)?.wait();
    Ok(())
}
