//! The command lines, in the order in which they are typed. Each scene leaves the fleet as it found it; its output is one
//! golden file. `dev` and the real stack play the same, so names are those that both have.

mod access;
mod levers;
mod nodes;
mod people;
mod work;

/// Something typed.
pub(crate) enum Line {
    /// What it says is golden.
    Say(&'static str),
    /// Runs unseen, again and again until it succeeds.
    Until(&'static str),
    /// Goes on unseen until the scene is over.
    Behind(&'static str),
}

/// Lines that belong together.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) lines: &'static [Line],
}

/// `{dir}/waits.md`: a runbook that forces something and then waits for what never comes.
pub(super) const WAITS: &str = "---\nid: waits\ntitle: Wait\nrole: operator\nmax_affected: 0\n---\n# Wait\n\
    ```chatctl kind=action id=rest undo=release\nchatctl breaker open presence --for 5m --wait\n```\n\
    ```chatctl kind=undo id=release\nchatctl breaker auto presence\n```\n\
    ```chatctl kind=check id=never timeout=5m\nchatctl wait --for 'overview.gateways_live>=99'\n```\n";

/// `{dir}/broken.md`: a runbook whose check changes something.
pub(super) const BROKEN: &str = "---\nid: broken\ntitle: Broken\nrole: operator\nmax_affected: 0\n---\n# Broken\n\
    ```chatctl kind=check id=look\nchatctl breaker open presence --for 5m\n```\n";

pub(crate) const SCENES: &[Scene] = &[
    nodes::NODE,
    access::CONTEXT,
    people::CONVERSATION,
    nodes::GATEWAY,
    work::OPERATION,
    levers::OVERRIDE,
    levers::BREAKER,
    levers::HEARTBEATS,
    levers::CONSISTENCY,
    people::SESSION,
    work::INCIDENT,
    levers::FAULT,
    work::LAG,
    nodes::CAPACITY,
    nodes::EVENT,
    work::RECONCILE,
    nodes::ROLLOUT,
    work::RUNBOOK,
    work::WAIT,
    access::TOKEN,
    access::AUDIT,
    access::DOCTOR,
    access::SUPPORT_BUNDLE,
];
