//! The same messages over TLS, as a ratio to plain. The certificate is made for the occasion,
//! self-signed.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use crate::goals::{Bound, Goals};
use crate::load::Sample;
use crate::options::Options;
use crate::script::Text;
use crate::stats::Pairs;
use crate::subject::{Program, Subject};
use crate::throughput::SESSIONS;
use crate::turns::{self, Case};

/// Prints the tables, or that the adapter has no TLS.
pub(crate) fn run(options: &Options, adapter: &Program, goals: &mut Goals) -> io::Result<()> {
    with_tls(adapter, |tls| compare(options, adapter, tls, goals))
}

/// Calls `f` with the adapter over TLS.
pub(crate) fn with_tls<T>(
    adapter: &Program,
    f: impl FnOnce(&Program) -> io::Result<T>,
) -> io::Result<T> {
    let file =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}.pem", std::process::id()));
    let config = certificate(&file)?;
    let done = f(&adapter.clone().over_tls(config, &file));
    fs::remove_file(file)?;
    done
}

fn compare(options: &Options, plain: &Program, tls: &Program, goals: &mut Goals) -> io::Result<()> {
    println!("### Messages over TLS\n");
    match Subject::start(tls) {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            println!("Left out: this build takes no `--tls --tls-ca FILE`.\n");
            return Ok(());
        }
        other => drop(other?),
    }
    let case = |&window| Case {
        text: Text::Plain(64),
        window,
        sessions: SESSIONS,
    };
    let cases: Vec<_> = options.windows.iter().map(case).collect();
    let measured = turns::take(&[tls, plain], &cases, options.rounds, options.span)?;
    turns::print(&measured, "text, outstanding", "plain", |case| {
        format!("64 B, {} outstanding", case.window)
    });
    if let Some((_, samples)) = measured.iter().find(|(case, _)| case.window == 256) {
        let ratio = Pairs::of(samples, Sample::rate).ratio().0;
        goals.note(
            "throughput at 256 over TLS, ratio to plain",
            Bound::AtLeast(0.6),
            ratio,
        );
    }
    Ok(())
}

/// Makes a certificate for this host, writes it into the file and returns the Proxies' side of it.
fn certificate(file: &Path) -> io::Result<Arc<ServerConfig>> {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    fs::write(file, cert.pem())?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).map_err(io::Error::other)?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key);
    Ok(Arc::new(config.map_err(io::Error::other)?))
}
