//! The client protocol from outside: real sockets, raw frames and raw HTTP, written from the protocol page alone. Our
//! client library is not used.

#![allow(clippy::unwrap_used)] // All of it is test code; clippy sees only the test functions as such.

mod bad_input;
mod channels;
mod data_dir;
mod drain;
mod hello;
mod http;
mod lanes;
mod live;
mod reading;
mod registry;
mod send;
mod sessions;
mod storms;
mod support;
mod timeouts;
mod tokens;
