//! What runs for long, what it is waited for, and what went wrong.

use super::{
    Line::{Behind, Say, Until},
    Scene,
};

pub(super) const OPERATION: Scene = Scene {
    name: "operation",
    lines: &[
        Say("operation list"),
        Say("operation list -o wide"),
        Say("operation list -o json"),
        Say("operation list --state running"),
        Say("operation list --state odd"),
        Say("operation show {operation}"),
        Say("operation show {operation} -o json"),
        Say("operation watch {operation}"),
        Say("operation watch {operation} -o json"),
        Say("operation cancel {operation}"),
        Say("operation show nosuch"),
    ],
};

pub(super) const INCIDENT: Scene = Scene {
    name: "incident",
    lines: &[
        Say("incident list"),
        // Everybody is on gw-2 when it dies: a gateway that nobody was on is no incident.
        Until("gateway drain gw-1 --deadline 5s --yes --wait"),
        Behind("chat talk --as ann"),
        Until("wait --for 'gateway/gw-2.connections==1'"),
        Until("gateway undrain gw-1 --wait"),
        Until("fault inject kill --scope gw-2 --for 12s --reason golden --yes"),
        Until("incident show {incident}"),
        Say("incident list"),
        Say("incident list -o json"),
        Say("incident show {incident}"),
        Say("incident show {incident} -o json"),
        Say("incident ack {incident}"),
        Until("wait --for 'gateway/gw-2.status==live' --for 'overview.overrides==[]'"),
        Say("incident resolve {incident}"),
        Say("incident resolve {incident}"),
        Say("incident list --all -o wide"),
        Say("incident show nosuch"),
    ],
};

pub(super) const LAG: Scene = Scene {
    name: "lag",
    lines: &[Until("wait --for 'overview.now.lag_records==0'"), Say("lag"), Say("lag -o json"), Say("lag --behind")],
};

pub(super) const RECONCILE: Scene = Scene {
    name: "reconcile",
    lines: &[
        Say("reconcile run --wait --timeout 60s"),
        Say("reconcile run --sample 1% --repair --wait --timeout 60s"),
        Say("reconcile run --sample 1"),
        Say("reconcile show {operation}"),
        Say("reconcile show {operation} -o json"),
        Say("operation show {operation}"),
    ],
};

pub(super) const RUNBOOK: Scene = Scene {
    name: "runbook",
    lines: &[
        Say("runbook list"),
        Say("runbook list -o json"),
        Say("runbook show control-plane-lost"),
        Say("runbook show nosuch"),
        Say("runbook lint"),
        Say("runbook lint -o json"),
        Say("runbook lint {dir}/broken.md"),
        Say("runbook plan write-timeouts"),
        Say("runbook plan write-timeouts -o json"),
        Say("runbook plan gateway-crash"),
        Say("runbook run write-timeouts --yes"),
        Say("runbook run control-plane-lost"),
        Say("runbook run control-plane-lost --yes"),
        Say("runbook run control-plane-lost --yes -o json"),
        Say("runbook resume {run}"),
        Say("runbook run --file {dir}/waits.md --yes --timeout 2s"),
        Say("runbook history"),
        Say("runbook history {run}"),
        Say("runbook history {run} -o json"),
        Say("runbook abort {run}"),
        Until("wait --for 'operation/{run}.state==cancelled'"),
        Say("runbook history {run}"),
        Say("runbook abort {run}"),
        Say("runbook run --file {dir}/waits.md --yes --timeout 2s"),
        Say("operation cancel {operation} --wait --reason golden"),
        Say("operation show {operation} -o wide"),
    ],
};

pub(super) const WAIT: Scene = Scene {
    name: "wait",
    lines: &[
        Say("wait --for 'gateway/gw-1.connections==0' --for 'overview.gateways_lost==0'"),
        Say("wait --for 'gateway/gw-1.connections==0' -o json"),
        Say("wait --for 'gateway/gw-1.connections>=9' --timeout 300ms"),
        Say("wait --for 'gateway/gw-9.connections==0'"),
        Say("wait --for 'gateway/gw-1.planets==0' --timeout 300ms"),
        Say("wait --for 'planet/earth.moons==1'"),
    ],
};
