//! Files and options that cannot work: told at start, by the name of the file, with the right exit code.

use crate::der;
use crate::files::Files;
use crate::pki::{self, Certified, Profile};
use crate::setup::{Ports, command};

/// Starting must fail with 1, and with one line after that of the settings, which names the file and the
/// option that gives it, and holds these words.
#[track_caller]
pub(crate) fn refused(arguments: &[&str], file: &str, words: &str) {
    let given = arguments.iter().rposition(|&argument| argument == file);
    let option = arguments[given.expect("the file of an option") - 1];
    let exit = command().arg("--tls").args(arguments).run();
    assert_eq!(exit.code(), 1, "{exit}");
    assert_eq!(exit.stderr.lines().count(), 2, "{exit}");
    for word in ["cannot start", "TLS", &format!("{option} {file}"), words] {
        assert!(exit.stderr.contains(word), "no {word:?} in: {exit}");
    }
}

#[test]
fn files_to_trust_that_are_no_good() {
    let files = Files::new();
    let good = Certified::authority("Example Root").pem();
    let key = Profile::server().self_signed().key.serialize_pem();
    let cut = &good[..good.len() / 2];
    for (name, content, words) in [
        ("empty.pem", &b""[..], "is empty"),
        (
            "keystore.jks",
            b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01",
            "keytool",
        ),
        (
            "prose.txt",
            b"trust everybody",
            "neither PEM nor a certificate in DER",
        ),
        ("key.pem", key.as_bytes(), "holds no certificate"),
        ("cut.pem", cut.as_bytes(), "not good PEM"),
        (
            "zeros.pem",
            &[0; 4096],
            "neither PEM nor a certificate in DER",
        ),
        (
            "mangled.pem",
            der::pem("CERTIFICATE", b"no certificate").as_bytes(),
            "no good",
        ),
        (
            "odd.pem",
            b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            "not good PEM",
        ),
    ] {
        let file = files.write(name, content);
        refused(&["--tls-ca", &file], &file, words);
        // A good one beside it is no help.
        let other = files.write("good.pem", &good);
        refused(&["--tls-ca", &other, "--tls-ca", &file], &file, words);
    }
    let missing = files.path("missing.pem");
    refused(&["--tls-ca", &missing], &missing, "cannot be read");
    let directory = files.path("");
    refused(&["--tls-ca", &directory], &directory, "cannot be read");
}

#[test]
fn a_files_name_forges_no_line() {
    let files = Files::new();
    let name = "x\nERROR forged\u{1b}[2J\u{202e}";
    let escaped = "x\\nERROR forged\\u{1b}[2J\\u{202e}";
    let missing = files.path(name);
    let client = Profile::new("chat-adapter").self_signed();
    let cert = files.write("client.pem", client.pem());
    for arguments in [
        &["--tls-ca", &missing][..],
        &["--tls-cert", &missing, "--tls-key", &missing],
        &["--tls-cert", &cert, "--tls-key", &missing],
        &["--user", "u", "--password-file", &missing],
    ] {
        let exit = command().arg("--tls").args(arguments).run();
        assert_eq!(exit.code(), 1, "{exit}");
        let (settings, error) = exit
            .stderr
            .rsplit_once("ERROR cannot start")
            .expect("an error");
        assert!(
            settings.lines().count() <= 2 && error.lines().count() == 1,
            "{exit}"
        );
        assert!(error.contains(escaped), "{exit}");
    }
    // Where they can be read, and are warned of.
    files.write(name, client.key.serialize_pem());
    files.set_mode(name, 0o644);
    let ports = Ports::open();
    let adapter = ports
        .command_to("127.0.0.1")
        .args(["--tls-cert", &cert, "--tls-key", &missing])
        .args(["--user", "u", "--password-file", &missing])
        .env("SSL_CERT_FILE", name)
        .start();
    adapter.wait_for_log(&[escaped, "holds the password"]);
    for side in ["metadata", "data"] {
        adapter.wait_for_log(&[side, escaped, "holds the private key"]);
        adapter.wait_for_log(&[side, &format!("SSL_CERT_FILE={escaped}")]);
    }
    adapter.signal("TERM");
    let log = adapter.wait().stderr;
    assert!(
        !log.contains("\nERROR forged") && !log.contains('\u{1b}'),
        "{log}"
    );
}

#[test]
fn keys_and_certificates_that_do_not_go_together() {
    let files = Files::new();
    let client = Profile::new("chat-adapter").self_signed();
    let cert = files.write("client.pem", client.pem());
    let key = client.key.serialize_pem();
    let other = Profile::new("another").self_signed();
    let traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                       DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for (name, content, words) in [
        (
            "other.key",
            other.key.serialize_pem(),
            "does not hold the key of the first certificate in",
        ),
        (
            "encrypted.key",
            der::pem("ENCRYPTED PRIVATE KEY", &[0; 64]),
            "encrypted",
        ),
        ("traditional.key", traditional.to_owned(), "encrypted"),
        ("cert.pem", client.pem(), "holds no private key"),
        ("empty.key", String::new(), "is empty"),
        (
            "prose.key",
            "open sesame".to_owned(),
            "neither PEM nor a private key",
        ),
        ("mangled.key", der::pem("PRIVATE KEY", b"no key"), ""),
        (
            "dsa.key",
            der::pem("DSA PRIVATE KEY", &[0; 64]),
            "holds no private key",
        ),
    ] {
        let file = files.write(name, content);
        refused(&["--tls-cert", &cert, "--tls-key", &file], &file, words);
    }
    let missing = files.path("missing");
    refused(
        &["--tls-cert", &cert, "--tls-key", &missing],
        &missing,
        "cannot be read",
    );
    let key = files.write("client.key", key);
    refused(
        &["--tls-cert", &missing, "--tls-key", &key],
        &missing,
        "cannot be read",
    );
    refused(
        &["--tls-key", &key, "--tls-cert", &key],
        &key,
        "holds no certificate",
    );
    // The authority first and the client behind it is the wrong order.
    let authority = Certified::authority("Clients");
    let turned = files.write("turned.pem", authority.pem() + &client.pem());
    refused(
        &["--tls-cert", &turned, "--tls-key", &key],
        &turned,
        "first certificate",
    );
}

#[test]
fn options_that_need_another_are_a_mistake_in_usage() {
    for (arguments, words) in [
        (
            &["--tls", "--tls-cert", "x"][..],
            "--tls-cert needs a --tls-key",
        ),
        (&["--tls", "--tls-key", "x"], "--tls-key needs a --tls-cert"),
        (&["--tls-ca", "x"], "--tls-ca needs --tls"),
        (&["--tls-name", "x"], "--tls-name needs --tls"),
        (&["--tls-cert", "x", "--tls-key", "y"], "needs --tls"),
        (&["--tls", "--tls-ca"], "--tls-ca"),
        (&["--tls=yes"], "--tls"),
    ] {
        let exit = command().args(arguments).run();
        assert_eq!(exit.code(), 2, "{exit}");
        assert!(exit.stderr.contains(words), "{exit}");
    }
}

#[test]
fn the_first_line_tells_the_settings() {
    let files = Files::new();
    let client = Profile::new("chat-adapter").self_signed();
    let ca = files.write("one.pem", client.pem());
    let cert = files.write("two\n.pem", client.pem());
    let key = files.write("client.key", client.key.serialize_pem());
    let adapter = Ports::open()
        .command_trusting(&ca)
        .args(["--tls-ca", &cert, "--tls-name", "push.example.com"])
        .args(["--tls-cert", &cert, "--tls-key", &key])
        .start();
    let cert = cert.replace('\n', "\\n");
    adapter.wait_for_log(&[&format!(
        "TLS (trusting {ca}, {cert}, server's name push.example.com, client certificate {cert}), \
         no credentials, "
    )]);
}

#[test]
fn a_key_that_cannot_be_used_is_named_from_its_certificate() {
    let files = Files::new();
    let client = Profile::new("chat-adapter").self_signed();
    let key = files.write("client.key", client.key.serialize_pem());
    let good = files.write("good.pem", client.pem());
    for (kind, algorithm, public_key) in pki::unusable_keys() {
        let named =
            format!("holds a certificate whose key cannot be used, {kind}; what can: RSA of");
        for profile in [Profile::server(), Profile::authority("Example Root")] {
            let certified = profile.self_signed();
            let certificate = der::with_key(certified.certificate(), &algorithm, &public_key);
            let file = files.write("bad.pem", der::pem("CERTIFICATE", &certificate));
            refused(&["--tls-ca", &file], &file, &named);
            refused(&["--tls-key", &key, "--tls-cert", &file], &file, &named);
        }
        // Where there are others, the server may be one of those.
        let file = files.path("bad.pem");
        let ports = Ports::open();
        let adapter = ports
            .command_trusting(&good)
            .args(["--tls-ca", &file])
            .start();
        ports.metadata.accept();
        adapter.wait_for_log(&["warn", "trusting 2 certificates from", &file, &named]);
    }
}
