//! Sessions of users (failure mode 5: split brain).

use serde::{Deserialize, Serialize};

/// A session of a user, as the registry and the gateways know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserSession {
    /// Whose.
    pub user: String,
    /// On which device.
    pub device: String,
    /// Of two sessions of one device the higher is current.
    pub session_version: u64,
    /// The gateway.
    pub gateway: String,
    /// The registry names it: messages are routed there.
    pub registered: bool,
    /// The gateway has the socket.
    pub connected: bool,
    /// How long ago the gateway heard from it, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_ms_ago: Option<u64>,
}

/// What one gateway answers when it is asked for a user's sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsAnswer {
    /// What the registry names.
    pub registered: Vec<UserSession>,
    /// What is connected here.
    pub connected: Vec<UserSession>,
}

/// `POST /v1/sessions/{user}/kick`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KickRequest {
    /// Only this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Only on this gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Kicked {
    /// Connections closed; their clients come back and resume.
    pub closed: u64,
    /// Gateways that could not be asked.
    pub unreachable: Vec<String>,
}
