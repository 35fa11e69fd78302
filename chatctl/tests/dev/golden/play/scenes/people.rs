//! Conversations of people, and their sessions.

use super::{
    Line::{Behind, Say, Until},
    Scene,
};

pub(super) const CONVERSATION: Scene = Scene {
    name: "conversation",
    lines: &[
        Say("conversation create group alice bob --id tea"),
        Say("conversation create group alice bob --id tea"),
        Say("conversation create direct alice bob --id pair -o json"),
        Say("conversation create group alice --id alone"),
        Say("conversation show tea"),
        Say("conversation show tea -o json"),
        Say("conversation show nosuch"),
        Say("conversation members add tea carol"),
        Say("conversation members add tea carol -o json"),
        Say("conversation members list tea"),
        Say("conversation members list tea -o json"),
        Say("conversation members remove tea carol"),
        Say("conversation mode tea batch --reason golden --yes"),
        Say("conversation mode tea batch --for 5m --reason golden --dry-run"),
        Say("conversation mode tea batch --for 5m --reason golden --yes --wait"),
        Say("conversation mode tea live"),
        Say("conversation mode tea live"),
        Say("conversation convert tea"),
        Say("conversation convert tea --yes"),
        Say("conversation convert pair --yes"),
    ],
};

pub(super) const SESSION: Scene = Scene {
    name: "session",
    lines: &[
        Until("conversation create group ann ben --id talk"),
        Say("session show ann"),
        // On gw-2, as gw-1 takes nobody.
        Until("gateway drain gw-1 --deadline 5s --yes --wait"),
        Behind("chat talk --as ann"),
        Until("wait --for 'gateway/gw-2.connections==1'"),
        Until("gateway undrain gw-1 --wait"),
        Until("session show ann"),
        Say("session show ann"),
        Say("session show ann -o json"),
        Say("session kick ann"),
        Say("session kick ann --yes --reason golden"),
        Say("session kick nobody --yes -o json"),
    ],
};
