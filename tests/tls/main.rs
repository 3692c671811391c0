//! TLS and credentials, by the real binary: against servers whose certificates are made on the spot.

#[path = "../standin/mod.rs"]
mod standin;

mod called;
mod called_files;
mod check;
mod closing;
mod credentials;
mod der;
mod failures;
mod files;
mod flood;
mod identity;
mod listening;
mod names;
mod no_tls;
mod peer;
mod pipes;
mod pki;
mod records;
mod rotation;
mod secrets;
mod setup;
mod silence;
mod start;
mod trust;
