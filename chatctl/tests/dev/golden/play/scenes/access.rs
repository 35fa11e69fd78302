//! Where the fleet is, who may steer it, who did, and how it all is.

use super::{
    Line::{Say, Until},
    Scene,
};

pub(super) const CONTEXT: Scene = Scene {
    name: "context",
    lines: &[
        Say("context list"),
        Say("context list -o wide"),
        Say("context list -o json"),
        Say("context show"),
        Say("context show -o json"),
        Say("context set other"),
        Say("context set other --control-plane http://127.0.0.1:1"),
        Say("context use other"),
        Say("node list"),
        Say("node list -o json"),
        Say("doctor"),
        Say("context use {context}"),
        Say("context use {context} -o json"),
        Say("node list --context nosuch"),
        Say("context remove other"),
        Say("context remove other"),
    ],
};

pub(super) const TOKEN: Scene = Scene {
    name: "token",
    lines: &[
        Say("token list"),
        Say("token create ann --reason golden"),
        Say("token create ann --role operator --ttl 1d -o json"),
        Say("token list -o wide"),
        Say("token list -o json"),
        Say("token revoke {token}"),
        Say("token revoke {token} --yes"),
        Say("token list"),
        Say("token user ann"),
        Say("token user ann -o json"),
        Say("token service"),
    ],
};

pub(super) const AUDIT: Scene = Scene {
    name: "audit",
    lines: &[
        Until("token create ben --role operator --reason golden"),
        Say("incident ack nosuch"),
        Say("audit --limit 2"),
        Say("audit list --limit 3 -o wide"),
        Say("audit list --limit 3 -o json"),
        Say("audit verify"),
        Say("audit verify -o json"),
    ],
};

pub(super) const DOCTOR: Scene = Scene { name: "doctor", lines: &[Say("doctor"), Say("doctor -o json")] };

pub(super) const SUPPORT_BUNDLE: Scene = Scene {
    name: "support-bundle",
    lines: &[
        Say("support-bundle --file {dir}/bundle.json"),
        Say("support-bundle --file {dir}/bundle.json -o json"),
        Say("support-bundle --file {dir}/nosuch/bundle.json"),
    ],
};
