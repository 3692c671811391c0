//! The chat and the protocol a second time, written from their description and for plainness alone: what the
//! library writes is compared with what is written here. Nothing of the library is used, except where [`harness`] drives
//! it.
//!
//! The fuzz targets include this directory too.

#![allow(
    dead_code,
    reason = "each program that includes the twin uses a part of it"
)]

pub(crate) mod chat;
pub(crate) mod framing;
pub(crate) mod grammar;
pub(crate) mod harness;
pub(crate) mod request;
pub(crate) mod script;
pub(crate) mod text;
