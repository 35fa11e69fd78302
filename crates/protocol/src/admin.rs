//! Bodies of the control plane's HTTP API (`/v1/...`).
