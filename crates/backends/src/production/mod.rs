//! What services in processes of their own have in common: settings, certificates, the stores of production.

pub mod fate;
mod program;
mod settings;
mod stores;
pub mod tls;

pub use program::{Program, Refusal};
pub use settings::{Faults, Setting, Settings};
pub use stores::STORES;
