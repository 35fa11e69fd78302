//! The built program as people run it: a fleet in one process, chatctl in others.

#![allow(clippy::unwrap_used)]

mod chat;
mod crash;
mod golden;
mod lifecycle;
mod operations;
mod refusals;
mod replay;
mod runbooks;
mod support;
mod terminal;
