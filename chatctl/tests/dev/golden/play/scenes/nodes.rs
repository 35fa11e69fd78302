//! Nodes: which there are, moving clients off them, restarting them, having more of them.

use super::{
    Line::{Say, Until},
    Scene,
};

pub(super) const NODE: Scene = Scene {
    name: "node",
    lines: &[
        Say("node list"),
        Say("node list -o wide"),
        Say("node list -o json"),
        Say("node show gw-1"),
        Say("node show gw-1 -o json"),
        Say("node show nosuch"),
        Say("node forget gw-1"),
        Say("node forget gw-1 --yes"),
        Say("node forget nosuch --yes"),
    ],
};

pub(super) const GATEWAY: Scene = Scene {
    name: "gateway",
    lines: &[
        Say("gateway list"),
        Say("gateway list -o wide"),
        Say("gateway list -o json"),
        Say("gateway show gw-1"),
        Say("gateway show gw-1 -o yaml"),
        Say("gateway show nosuch"),
        Say("gateway undrain gw-1"),
        Say("gateway drain gw-1 --dry-run --deadline 10s"),
        Say("gateway drain gw-1 --deadline 10s"),
        Say("gateway drain gw-1 --deadline 10s --yes --wait --reason golden"),
        Say("gateway list"),
        Say("gateway drain gw-1 --yes"),
        Say("gateway drain gw-2 --yes"),
        Say("gateway undrain gw-1 --wait"),
        Say("gateway list"),
    ],
};

pub(super) const ROLLOUT: Scene = Scene {
    name: "rollout",
    lines: &[
        Say("rollout restart workers --dry-run"),
        Say("rollout restart workers"),
        Say("rollout restart workers --yes --wait --reason golden"),
        Say("rollout show {operation}"),
        Say("rollout show {operation} -o wide"),
        Say("rollout show {operation} -o json"),
        Say("rollout restart gateways --deadline 2s --yes --reason golden"),
        Say("rollout pause {operation}"),
        Say("rollout pause {operation}"),
        Say("rollout resume {operation}"),
        Say("rollout abort {operation}"),
        Until("wait --for 'operation/{operation}.state==cancelled' --for 'overview.gateways_lost==0'"),
        Until("wait --for 'gateway/gw-1.phase==active' --for 'gateway/gw-2.phase==active'"),
        Say("rollout abort {operation}"),
        Say("rollout resume {operation}"),
        Say("rollout restart gateways --deadline 2s --yes --wait --reason golden"),
        Say("node list"),
    ],
};

pub(super) const CAPACITY: Scene = Scene {
    name: "capacity",
    lines: &[
        Say("capacity show"),
        Say("capacity show -o json"),
        Say("prescale plan --factor 5"),
        Say("prescale plan --factor 5 -o json"),
        Say("prescale plan --factor 0"),
        Say("prescale apply --factor 5 --dry-run"),
        Say("prescale apply --factor 5"),
        Say("prescale apply --factor 5 --yes --wait --reason golden"),
        Say("prescale revert"),
        Say("prescale revert --yes --wait --reason golden"),
        Say("prescale revert --yes"),
    ],
};

pub(super) const EVENT: Scene = Scene {
    name: "event",
    lines: &[
        Say("event list"),
        Say("event add cup --factor 5 --in 3h --for 4h --dry-run"),
        Say("event add cup --factor 5 --in 3h --for 4h --reason golden"),
        Say("event add cup --factor 5 --in 3h --for 4h --reason golden"),
        Say("event list -o wide"),
        Say("event list -o json"),
        Say("event remove cup"),
        Say("event remove cup"),
    ],
};
