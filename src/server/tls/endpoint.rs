//! This end of one connection, in either role, as `rustls` needs it.

use super::identity::Resolver;
use super::trust::Verifier;
use crate::provider::Connection;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ClientConnection, Error, ServerConfig, ServerConnection};
use std::sync::Arc;

/// What one connection uses, and what it learns of the peer.
#[derive(Debug)]
pub(in crate::server) struct Endpoint {
    pub(super) connection: Connection,
    pub(super) role: Role,
    pub(super) verifier: Arc<Verifier>,
    pub(super) resolver: Arc<Resolver>,
}

/// Which of the two ends this is.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// The one that calls, with the name that the server's certificate must carry.
    Client(ServerName<'static>),
    /// The one that is called.
    Server {
        /// Whether clients must show a certificate; otherwise they are asked for none.
        verifies: bool,
    },
}

impl Endpoint {
    /// A connection that has yet to shake hands. It verifies its peer by the files as they are now, so
    /// nothing is taken over from an earlier session.
    pub(super) fn start(&self) -> Result<rustls::Connection, Error> {
        let provider = Arc::new(ring::default_provider());
        let (verifier, resolver) = (Arc::clone(&self.verifier), Arc::clone(&self.resolver));
        match &self.role {
            Role::Client(name) => {
                let mut config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()?
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
                    .with_client_cert_resolver(resolver);
                config.resumption = Resumption::disabled();
                ClientConnection::new(Arc::new(config), name.clone()).map(Into::into)
            }
            Role::Server { verifies } => {
                let builder = ServerConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()?;
                let builder = match verifies {
                    true => builder.with_client_cert_verifier(verifier),
                    false => builder.with_no_client_auth(),
                };
                let mut config = builder.with_cert_resolver(resolver);
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
                ServerConnection::new(Arc::new(config)).map(Into::into)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Session, Settings, Tls, TlsError};
    use super::*;
    use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer};
    use rcgen::{DnType, KeyPair, date_time_ymd};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::version::{TLS12, TLS13};
    use rustls::{RootCertStore, SupportedProtocolVersion};
    use std::env;
    use std::fs;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::PathBuf;
    use std::thread;

    /// A certificate with its key.
    struct Certified(rcgen::Certificate, KeyPair, CertificateParams);

    fn params(usages: &[ExtendedKeyUsagePurpose]) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.extended_key_usages = usages.to_vec();
        params
    }

    fn self_signed(params: CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        Certified(params.self_signed(&key).unwrap(), key, params)
    }

    fn authority(name: &str) -> Certified {
        let mut params = params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self_signed(params)
    }

    impl Certified {
        fn issue(&self, params: CertificateParams) -> Certified {
            let key = KeyPair::generate().unwrap();
            let issuer = Issuer::from_params(&self.2, &self.1);
            Certified(params.signed_by(&key, &issuer).unwrap(), key, params)
        }
    }

    /// A port that is called by TLS.
    struct Called {
        listener: TcpListener,
        tls: Tls,
        own: Certified,
        files: PathBuf,
    }

    impl Called {
        /// Asks clients for a certificate of one of these.
        fn with(trusted: &[&Certified]) -> Called {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let files = env::temp_dir().join(format!("called-{port}"));
            fs::create_dir_all(&files).unwrap();
            let own = self_signed(params(&[ServerAuth]));
            let (cert, key) = (files.join("cert.pem"), files.join("key.pem"));
            fs::write(&cert, own.0.pem()).unwrap();
            fs::write(&key, own.1.serialize_pem()).unwrap();
            let client_ca = files.join("clients.pem");
            let trusted: String = trusted.iter().map(|trusted| trusted.0.pem()).collect();
            fs::write(&client_ca, &trusted).unwrap();
            let settings = Settings {
                identity: Some((cert, key)),
                client_ca: Some(client_ca)
                    .filter(|_| !trusted.is_empty())
                    .into_iter()
                    .collect(),
                ..Settings::default()
            };
            Called {
                tls: Tls::server(settings).unwrap(),
                listener,
                own,
                files,
            }
        }

        /// Is called by what `call` does with its end.
        fn called<T: Send>(
            &self,
            call: impl FnOnce(TcpStream) -> T + Send,
        ) -> (Result<Session, TlsError>, T) {
            let address = self.listener.local_addr().unwrap();
            thread::scope(|scope| {
                let calling = scope.spawn(move || call(TcpStream::connect(address).unwrap()));
                let (socket, _) = self.listener.accept().unwrap();
                let connection = Connection::new("metadata 127.0.0.1".into());
                let endpoint = self.tls.endpoint(&connection);
                let session = Session::establish(Arc::new(socket), endpoint);
                (session, calling.join().unwrap())
            })
        }

        /// Is called by a client of this version that shows a certificate, and trusts one.
        fn called_by(
            &self,
            version: &'static SupportedProtocolVersion,
            shown: Option<&Certified>,
            server: &Certified,
        ) -> Result<Session, String> {
            let mut roots = RootCertStore::empty();
            roots.add(server.0.der().clone()).unwrap();
            let provider = Arc::new(ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots);
            let config = match shown {
                None => builder.with_no_client_auth(),
                Some(Certified(certificate, key, _)) => {
                    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                    let chain = vec![certificate.der().clone()];
                    builder.with_client_auth_cert(chain, key).unwrap()
                }
            };
            let (session, ()) = self.called(move |mut socket| {
                let name = ServerName::try_from("localhost").unwrap();
                let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
                while client.is_handshaking() && client.complete_io(&mut socket).is_ok() {}
                while client.wants_write() && client.write_tls(&mut socket).is_ok() {}
            });
            session.map_err(|error| error.to_string())
        }
    }

    impl Drop for Called {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.files); // of the system's own for such things
        }
    }

    #[test]
    fn a_client_is_asked_for_a_certificate_if_it_is_said_whose() {
        let clients = authority("Clients");
        let own = self_signed(params(&[]));
        for version in [&TLS12, &TLS13] {
            let called = Called::with(&[]);
            called.called_by(version, Some(&own), &called.own).unwrap();
            let called = Called::with(&[&clients, &own]);
            let issued = clients.issue(params(&[ClientAuth]));
            for shown in [&issued, &own] {
                called.called_by(version, Some(shown), &called.own).unwrap();
            }
            let refused = called.called_by(version, None, &called.own).unwrap_err();
            assert!(refused.contains("shows no client certificate"), "{refused}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_clients_certificate_is_said() {
        let (clients, others) = (authority("Clients"), authority("Others"));
        let mut expired = params(&[]);
        (expired.not_before, expired.not_after) =
            (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 5, 6));
        let called = Called::with(&[&clients]);
        for version in [&TLS12, &TLS13] {
            for (shown, words) in [
                (others.issue(params(&[])), "unknown issuer of the Proxy's"),
                (self_signed(params(&[])), "self-signed"),
                (clients.issue(expired.clone()), "expired on 2021-05-06T"),
                (clients.issue(params(&[ServerAuth])), "client"),
            ] {
                let refused = called.called_by(version, Some(&shown), &called.own);
                let refused = refused.unwrap_err();
                assert!(refused.contains(words), "{refused}");
                assert!(refused.contains("--tls-client-ca"), "{refused}");
            }
        }
    }

    #[test]
    fn a_client_that_does_not_trust_or_speaks_no_tls_is_understood() {
        let called = Called::with(&[]);
        for version in [&TLS12, &TLS13] {
            let refused = called
                .called_by(version, None, &authority("Others"))
                .unwrap_err();
            assert!(refused.contains("refuses the certificate"), "{refused}");
        }
        let (refused, answer) = called.called(|mut socket| {
            socket
                .write_all(b"10|MPI|S|ARI.version|S|1.9.1\r\n")
                .unwrap();
            let mut answer = Vec::new();
            let _ = socket.read_to_end(&mut answer);
            answer
        });
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("tls=Y"), "{refused}");
        // An alert, if anything.
        assert!(answer.first().is_none_or(|&first| first == 0x15));
    }

    #[test]
    fn a_certificate_that_is_for_another_use_is_named() {
        let called = Called::with(&[]);
        let any = ExtendedKeyUsagePurpose::Any;
        for (usages, server, client) in [
            (&[][..], true, true),
            (&[ServerAuth], true, false),
            (&[ClientAuth], false, true),
            (&[ClientAuth, ServerAuth], true, true),
            (&[any], true, true),
            (&[ExtendedKeyUsagePurpose::CodeSigning], false, false),
        ] {
            let own = self_signed(params(usages));
            let settings = called.tls.settings.clone();
            let (cert, key) = settings.identity.as_ref().unwrap();
            fs::write(cert, own.0.pem()).unwrap();
            fs::write(key, own.1.serialize_pem()).unwrap();
            for (tls, missing, fits) in [
                (Tls::server(settings.clone()), "serverAuth", server),
                (
                    Tls::new(settings.clone(), "localhost"),
                    "clientAuth",
                    client,
                ),
            ] {
                let described = tls.unwrap().describe().concat();
                let named = format!("extended key usage without {missing}");
                assert_ne!(described.contains(&named), fits, "{usages:?}: {described}");
            }
        }
    }
}
