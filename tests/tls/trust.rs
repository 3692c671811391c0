//! Each way to be believed, and that the files given are all that is believed.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};

use crate::der;
use crate::files::Files;
use crate::pki::{self, Certified, Profile};
use crate::setup::{Ports, VERSIONS, server, server_of};
use crate::standin::{Adapter, Command};

/// The adapter must come as far as requests on the metadata port; yields it.
#[track_caller]
fn believes(ports: &Ports, command: Command, config: &Arc<ServerConfig>) -> Adapter {
    let adapter = command.start();
    let (_peer, mut metadata) = ports.meet_metadata(config);
    metadata.close_session("S1");
    adapter
}

/// Starts an adapter that trusts this file, which must believe a server of this kind.
#[track_caller]
fn trusts(file: &str, config: &Arc<ServerConfig>) {
    let ports = Ports::open();
    believes(&ports, ports.command_trusting(file), config);
}

#[test]
fn an_authority_in_a_bundle_with_others_and_with_prose() {
    let files = Files::new();
    let authority = Certified::authority("Example Root");
    let other = Certified::authority("Another Root");
    let bundle = format!(
        "Roots of ours.\r\n{}\n# and\n{}",
        other.pem(),
        authority.pem()
    );
    let file = files.write("roots.pem", bundle);
    let ports = Ports::open();
    let server = server(&authority.issue(Profile::server()));
    let adapter = believes(&ports, ports.command_trusting(&file), &server);
    adapter.wait_for_log(&["metadata", "trusting 2 certificates", &file]);
}

#[test]
fn an_authority_in_der() {
    let files = Files::new();
    let authority = Certified::authority("Example Root");
    let file = files.write("root.der", authority.certificate());
    trusts(&file, &server(&authority.issue(Profile::server())));
}

#[test]
fn any_of_several_files() {
    let files = Files::new();
    let (one, other) = (Certified::authority("One"), Certified::authority("Other"));
    let first = files.write("one.pem", one.pem());
    let second = files.write("other.der", other.certificate());
    for authority in [&one, &other] {
        let ports = Ports::open();
        let command = ports.command_trusting(&first).args(["--tls-ca", &second]);
        believes(
            &ports,
            command,
            &server(&authority.issue(Profile::server())),
        );
    }
}

#[test]
fn a_root_that_vouches_by_way_of_another_authority() {
    let files = Files::new();
    let root = Certified::authority("Example Root");
    let between = root.issue(Profile::authority("Example Issuer"));
    let file = files.write("root.pem", root.pem());
    trusts(&file, &server(&between.issue(Profile::server())));
}

/// What `keytool` makes when it is asked for no more than a key: nothing that could be verified.
fn stale() -> Profile {
    Profile::new("push.mycompany.com").good((2010, 1, 1), (2011, 1, 1))
}

#[test]
fn the_servers_own_certificate_though_self_signed_expired_and_without_a_name() {
    let files = Files::new();
    let certified = stale().self_signed();
    let pem = files.write("server.pem", certified.pem());
    let der = files.write("server.der", certified.certificate());
    for version in VERSIONS {
        let config = server_of(&certified, &[version], None);
        trusts(&pem, &config);
        trusts(&der, &config);
    }
}

#[test]
fn the_servers_own_certificate_with_an_rsa_key() {
    let files = Files::new();
    let certified = stale().self_signed_with(pki::rsa());
    let file = files.write("server.pem", certified.pem());
    for version in VERSIONS {
        trusts(&file, &server_of(&certified, &[version], None));
    }
}

#[test]
fn the_servers_own_certificate_of_version_1() {
    let files = Files::new();
    let mut certified = stale().self_signed();
    certified.chain = vec![der::version_1(certified.certificate()).into()];
    let pem = files.write("server.pem", certified.pem());
    let der = files.write("server.der", certified.certificate());
    for version in VERSIONS {
        let config = server_as_it_is(&certified, version);
        trusts(&pem, &config);
        trusts(&der, &config);
    }
}

/// `rustls` offers no certificate of version 1 of its own accord.
fn server_as_it_is(
    certified: &Certified,
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let key = rustls::crypto::ring::sign::any_supported_type(&certified.private_key());
    let key = rustls::sign::CertifiedKey::new(certified.chain.clone(), key.expect("a key"));
    let config = ServerConfig::builder_with_protocol_versions(&[version])
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
    Arc::new(config)
}

#[test]
fn the_servers_own_certificate_among_authorities() {
    let files = Files::new();
    let certified = stale().self_signed();
    let bundle = Certified::authority("Example Root").pem() + &certified.pem();
    trusts(&files.write("bundle.pem", bundle), &server(&certified));
}

#[test]
fn a_certificate_given_vouches_for_no_other() {
    let files = Files::new();
    let file = files.write("server.pem", stale().self_signed().pem());
    // The second as when a keystore was made anew, and the old certificate is still what is given.
    for profile in [Profile::server(), stale()] {
        let ports = Ports::open();
        let adapter = ports.command_trusting(&file).start();
        ports.metadata.refuse(&server(
            &profile.good((2020, 1, 1), (2120, 1, 1)).self_signed(),
        ));
        adapter.wait_for_log(&["warn", "metadata", "self-signed", "not among", "--tls-ca"]);
    }
}

#[test]
fn nor_does_an_authority_for_what_its_namesake_issued() {
    let files = Files::new();
    let file = files.write("root.pem", Certified::authority("Example Root").pem());
    let ports = Ports::open();
    let adapter = ports.command_trusting(&file).start();
    let namesake = Certified::authority("Example Root");
    ports
        .metadata
        .refuse(&server(&namesake.issue(Profile::server())));
    adapter.wait_for_log(&[
        "warn",
        "metadata",
        "not signed by the issuer that is trusted",
    ]);
}

#[test]
fn a_certificate_given_is_of_no_use_without_its_key() {
    let files = Files::new();
    let mut certified = stale().self_signed();
    let file = files.write("server.pem", certified.pem());
    certified.key = rcgen::KeyPair::generate().expect("another key");
    for version in VERSIONS {
        let ports = Ports::open();
        let adapter = ports.command_trusting(&file).start();
        ports.metadata.refuse(&server_as_it_is(&certified, version));
        adapter.wait_for_log(&["warn", "metadata", "does not prove", "key"]);
    }
}

#[test]
fn one_version_is_enough() {
    let files = Files::new();
    let certified = Profile::server().self_signed();
    let file = files.write("server.pem", certified.pem());
    for (version, name) in [(&TLS12, "TLS 1.2"), (&TLS13, "TLS 1.3")] {
        let ports = Ports::open();
        let config = server_of(&certified, &[version], None);
        let adapter = ports.command_trusting(&file).start();
        let (_metadata, _data) = (ports.meet_metadata(&config), ports.meet_data(&config));
        for side in ["metadata", "data"] {
            let line = adapter.wait_for_log(&[side, "connected to 127.0.0.1", name]);
            assert!(line.contains("AES") || line.contains("CHACHA20"), "{line}");
        }
    }
}

#[test]
fn the_platforms_store_is_where_the_variables_say() {
    let files = Files::new();
    let authority = Certified::authority("Example Root");
    let file = files.write(
        "roots.pem",
        authority.pem() + &Certified::authority("Two").pem(),
    );
    let config = server(&authority.issue(Profile::server()));
    let directory = files
        .directory()
        .to_str()
        .expect("a path in UTF-8")
        .to_owned();
    for (variable, value) in [("SSL_CERT_FILE", &file), ("SSL_CERT_DIR", &directory)] {
        let ports = Ports::open();
        let command = ports.command_to("127.0.0.1").env(variable, value);
        let adapter = believes(&ports, command, &config);
        adapter.wait_for_log(&[
            "info",
            "metadata",
            "trusting 2 certificates",
            variable,
            value,
        ]);
    }
}

#[test]
fn files_given_count_instead_of_the_platforms_store() {
    let files = Files::new();
    let authority = Certified::authority("Example Root");
    let platform = files.write("platform.pem", authority.pem());
    let given = files.write("given.pem", Certified::authority("Another Root").pem());
    let ports = Ports::open();
    let command = ports
        .command_trusting(&given)
        .env("SSL_CERT_FILE", &platform);
    let adapter = command.start();
    ports
        .metadata
        .refuse(&server(&authority.issue(Profile::server())));
    let line = adapter.wait_for_log(&["warn", "metadata", "unknown issuer", "Example Root"]);
    assert!(
        line.contains("not among the certificates given with --tls-ca"),
        "{line}"
    );
    adapter.wait_for_log(&["metadata", "trusting 1 certificate from", &given]);
}

#[test]
fn without_a_store_there_are_built_in_roots() {
    let files = Files::new();
    let missing = files.path("missing.pem");
    let empty = files
        .directory()
        .to_str()
        .expect("a path in UTF-8")
        .to_owned();
    let config = server(&Certified::authority("Example Root").issue(Profile::server()));
    for (variable, value, level, why) in [
        ("SSL_CERT_FILE", &missing, "warn", "cannot be read"),
        ("SSL_CERT_DIR", &empty, "warn", "holds no certificate"),
    ] {
        let ports = Ports::open();
        let adapter = ports.command_to("127.0.0.1").env(variable, value).start();
        ports.metadata.refuse(&config);
        let line = adapter.wait_for_log(&[level, "metadata", "built-in roots", why, value]);
        let (_, count) = line.split_once("trusting ").expect("a count");
        let count: usize = count
            .split(' ')
            .next()
            .expect("a word")
            .parse()
            .expect("a number");
        assert!(count > 50, "{line}");
        adapter.wait_for_log(&["warn", "metadata", "unknown issuer", "Example Root"]);
    }
}
