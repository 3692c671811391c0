//! What holds of the library for every input: the encodings, the framing, and whole exchanges of both sides, each
//! against a twin that was written from the protocol and from the description of the chat.

mod encodings;
mod exchange;
mod framing;
mod generate;
mod room;
mod seeds;
mod twin;
