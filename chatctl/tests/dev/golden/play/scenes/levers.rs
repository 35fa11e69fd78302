//! What is forced for a while.

use super::{
    Line::{Say, Until},
    Scene,
};

pub(super) const OVERRIDE: Scene = Scene {
    name: "override",
    lines: &[
        Say("override list"),
        Until("heartbeats limit 2000 --for 5m --reason golden --yes --wait"),
        Say("override list"),
        Say("override list -o json"),
        Say("override show {override}"),
        Say("override show {override} -o wide"),
        Say("override show {override} -o json"),
        Say("override revert {override}"),
        Say("override revert {override}"),
        Say("override show nosuch"),
        Say("override list --all"),
    ],
};

pub(super) const BREAKER: Scene = Scene {
    name: "breaker",
    lines: &[
        Say("breaker list"),
        Say("breaker list -o wide"),
        Say("breaker list -o json"),
        Say("breaker open presence --for 5m --reason golden"),
        Say("breaker open presence --for 5m --reason golden --dry-run"),
        Say("breaker open presence --for 5m --yes"),
        Say("breaker open planet --for 5m --reason golden --yes"),
        Say("breaker open presence --for 5m --reason golden --yes --wait"),
        Say("breaker list --odd -o wide"),
        Say("breaker open presence --for 5m --reason golden --yes"),
        Say("breaker auto presence"),
        Say("breaker auto presence"),
        Say("breaker close dedup --scope gw-1 --for 5m --reason golden --yes --wait"),
        Say("breaker auto dedup --scope gw-1"),
    ],
};

pub(super) const HEARTBEATS: Scene = Scene {
    name: "heartbeats",
    lines: &[
        Say("heartbeats limit 0 --for 5m --reason golden --yes"),
        Say("heartbeats limit 2000 --for 5m --reason golden --yes --wait"),
        Say("heartbeats auto"),
        Say("heartbeats auto"),
    ],
};

pub(super) const CONSISTENCY: Scene = Scene {
    name: "consistency",
    lines: &[
        Say("consistency show"),
        Say("consistency show -o wide"),
        Say("consistency show -o json"),
        Say("consistency ledger"),
        Say("consistency verify"),
        Say("consistency restore"),
        Say("consistency set one --for 31m --reason golden --yes"),
        Say("consistency set one --for 5m --reason golden --dry-run"),
        Say("consistency set one --for 5m --reason golden --yes --wait"),
        Say("consistency show"),
        Say("consistency verify"),
        Until("swarm run --clients 4 --rate 40 --duration 1s"),
        Say("consistency restore --wait"),
        Say("consistency verify"),
        Say("consistency ledger"),
        Say("consistency ledger -o wide"),
        Say("consistency ledger -o json"),
    ],
};

pub(super) const FAULT: Scene = Scene {
    name: "fault",
    lines: &[
        Say("fault list"),
        Say("fault inject drop-acks 10 --reason golden --yes"),
        Say("fault inject drop-acks 10 --scope gw-1 --for 5m --reason golden"),
        Say("fault inject drop-acks 10 --scope gw-1 --for 5m --reason golden --yes --wait"),
        Say("fault inject drop-frames 10 --scope gw-1 --for 5m --reason golden --yes --wait"),
        Say("fault inject delay-frames 5ms --scope gw-1 --for 5m --reason golden --yes --wait"),
        Say("fault inject store-latency presence 1ms --for 5m --reason golden --yes --wait"),
        Say("fault inject store-errors presence 1 --for 5m --reason golden --yes --wait"),
        Say("fault list"),
        Say("fault list -o json"),
        Say("fault clear {override}"),
        Say("fault clear"),
        Say("fault clear"),
        Say("fault clear nosuch"),
        Say("fault inject kill --for 5s --reason golden --yes"),
        Say("fault inject kill --scope gw-2 --for 5s --reason golden --dry-run"),
        Say("fault inject pause --scope gw-2 --for 1s --reason golden --yes"),
        Until("wait --for 'overview.overrides==[]' --for 'gateway/gw-2.status==live'"),
    ],
};
