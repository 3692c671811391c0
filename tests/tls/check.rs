//! What `--check` says of certificates.

use crate::files::Files;
use crate::pki::{Certified, Profile};
use crate::setup::command;

#[test]
fn who_until_when_how_many_and_whether_they_fit() {
    let files = Files::new();
    let root = Certified::authority("Example\nRoot");
    let roots = files.write("root.pem", root.pem());
    let old = Profile::new("old").good((2010, 1, 1), (2011, 2, 3));
    let own = files.write("own.pem", old.self_signed().pem());
    let client = root.issue(Profile::new("chat-adapter").good((2020, 1, 1), (2049, 12, 31)));
    let cert = files.write("client.pem", client.chain_pem());
    let key = files.write("client.key", client.key.serialize_pem());
    files.set_mode("client.key", 0o644);
    let password = files.write("password", "sesame");
    let exit = command()
        .args(["--check", "--host", "127.0.0.1", "--tls"])
        .args(["--tls-ca", &roots, "--tls-ca", &own])
        .args(["--tls-name", "push.example.com"])
        .args(["--tls-cert", &cert, "--tls-key", &key])
        .args(["--user", "user1", "--password-file", &password])
        .run();
    assert_eq!(exit.code(), 0, "{exit}");
    assert_eq!(exit.stderr, "");
    for line in [
        format!("credentials: user of --user, password of --password-file {password}"),
        "TLS: the server's certificate must be for push.example.com".into(),
        format!("TLS: trusting 2 certificates from {roots}, {own}"),
        "TLS: trusting \"Example\\nRoot\", valid until 2120-01-01T00:00:00Z".into(),
        "TLS: trusting \"old\", valid until 2011-02-03T00:00:00Z, which is over".into(),
        "TLS: client certificate \"chat-adapter\", valid until \
         2049-12-31T00:00:00Z; its key fits"
            .into(),
        format!(
            "TLS: {key} holds the private key and can be read by everybody; its mode should be \
             0600 or 0400"
        ),
        "adapters.xml, metadata_provider: <param name=\"request_reply_port\">8003</param> \
         <param name=\"tls\">Y</param> <param name=\"auth\">Y</param>"
            .into(),
    ] {
        assert!(
            exit.stdout.lines().any(|found| found == line),
            "{line} is not in: {exit}"
        );
    }
    assert!(!exit.stdout.contains("sesame"), "{exit}");
}

#[test]
fn how_many_roots_the_platform_has() {
    let files = Files::new();
    let roots = ["one", "two", "three"].map(|name| Certified::authority(name).pem());
    let store = files.write("store.pem", roots.concat());
    let exit = command()
        .args(["--check", "--host", "127.0.0.1", "--tls"])
        .env("SSL_CERT_FILE", &store)
        .run();
    assert_eq!(exit.code(), 0, "{exit}");
    let line =
        format!("TLS: trusting 3 certificates of the platform's store (SSL_CERT_FILE={store}");
    assert!(exit.stdout.contains(&line), "{exit}");
}

#[test]
fn a_key_that_does_not_fit_is_told_as_a_start_tells_it() {
    let files = Files::new();
    let [one, other] = [(); 2].map(|()| Profile::new("chat-adapter").self_signed());
    let cert = files.write("client.pem", one.pem());
    let key = files.write("client.key", other.key.serialize_pem());
    let exit = command()
        .args(["--check", "--tls", "--tls-cert", &cert, "--tls-key", &key])
        .run();
    assert_eq!(exit.code(), 1, "{exit}");
    assert!(
        exit.stderr.contains("cannot start: TLS: --tls-key"),
        "{exit}"
    );
    // What was good until then is printed nevertheless.
    assert!(exit.stdout.contains("addresses of "), "{exit}");
}
