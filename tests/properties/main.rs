//! What holds of the library for every input: the encodings, the framing, and whole conversations of both sides, each
//! against a twin that was written from the protocol and from the description of the chat.

mod conversation;
mod encodings;
mod framing;
mod generate;
mod room;
mod seeds;
mod twin;
