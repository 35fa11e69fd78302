//! The rules of Chatfleet, without IO and without a clock.
//!
//! Everything here is a pure function or a state machine that is handed the time. That is what lets one seed replay a
//! whole fleet and what lets properties be tested by the thousand. This crate imports no other crate of the workspace.

mod autoscale;
mod backoff;
mod breaker;
mod capacity;
mod count;
pub mod detect;
mod drain;
mod fair;
mod fold;
mod id;
mod limiter;
mod message;
mod planted;
mod rolling;
mod session;

pub use autoscale::{StoreAdvice, StoreScaling};
pub use backoff::Backoff;
pub use breaker::{Admission, Breaker, BreakerPosition, BreakerRule, PRESENCE_RULE, STORE_RULE};
pub use capacity::{Counts, HEADROOM, Load, NodeCapacity, needed};
pub use count::{counted, noun, thousands};
pub use drain::{DrainPlan, DrainRefusal, Survivors, drain_guard, drain_limit_per_tick};
pub use fair::FairQueue;
pub use fold::{ConversationFold, Folded, KeyRow, LogPosition, Submission};
pub use id::{ConversationId, DeviceId, IdError, NodeId, UserId};
pub use limiter::TokenBucket;
pub use message::{BodyHash, MAX_BODY_BYTES, body_hash, message_id, partition_of};
pub use planted::{Bug, Planted};
pub use rolling::{ROLLING_S, Rolling, RollingSums};
pub use session::{Standing, next_session_version, standing};

/// How long a (conversation, sender, key) stands for one message, measured on the log. Protocol: "24 h".
pub const DEDUP_WINDOW_MS: u64 = 24 * 60 * 60 * 1000;
/// Most members of a conversation of kind `group`. Failure mode 6: beyond it a group becomes a channel.
pub const GROUP_MEMBERS_MAX: usize = 500;
