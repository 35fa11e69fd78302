//! Watches the fleet: each second the nodes' reports become a sample, the detectors read the samples, and what they find
//! opens incidents and, once it is over, resolves them.

mod sampler;
mod watch;
mod webhook;

pub use self::webhook::check_webhook;
pub(crate) use self::{
    sampler::Samples,
    watch::{run, to_mode},
    webhook::{Event, Hooks},
};
