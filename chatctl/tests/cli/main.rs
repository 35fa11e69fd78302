//! The built program against a real control plane: exact output, exit codes, refusals.

#![allow(clippy::unwrap_used)]

mod context;
mod conversation;
mod fleet;
mod gateway;
mod incident;
mod operation;
mod refusals;
mod support;
mod token_and_audit;
