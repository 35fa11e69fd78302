//! Holds the edges between the crates of the workspace: what may depend on what.

use std::{collections::BTreeSet, process::Command};

/// Each crate with what it may depend on, and what its tests and optional features may use beside that: the fleet's
/// simulation runs clients, `chatctl dev` is built without it.
const EDGES: &[(&str, &[&str], &[&str])] = &[
    ("chatfleet-domain", &[], &[]),
    ("chatfleet-protocol", &["chatfleet-domain"], &[]),
    ("chatfleet-backends", &["chatfleet-domain", "chatfleet-protocol"], &[]),
    ("chat-gateway", SERVICE, &[]),
    ("chat-workers", SERVICE, &[]),
    ("chat-control-plane", SERVICE, &[]),
    ("chatfleet-client", &["chatfleet-domain", "chatfleet-protocol"], &[]),
    (
        "chatfleet-fleet",
        &[
            "chatfleet-domain",
            "chatfleet-protocol",
            "chatfleet-backends",
            "chat-gateway",
            "chat-workers",
            "chat-control-plane",
        ],
        &["chatfleet-client"],
    ),
    (
        "chatctl",
        &["chatfleet-domain", "chatfleet-protocol", "chatfleet-client", "chatfleet-fleet"],
        &["chatfleet-backends", "chat-control-plane"],
    ),
];

const SERVICE: &[&str] = &["chatfleet-domain", "chatfleet-protocol", "chatfleet-backends"];

#[test]
fn crates_depend_only_on_what_the_design_allows() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let listed: BTreeSet<&str> = EDGES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(ours, listed, "a crate is missing from the list of edges, or gone");

    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let (_, allowed, in_tests) = EDGES.iter().find(|(listed, ..)| *listed == name).unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let (to, kind) = (dependency["name"].as_str().unwrap(), dependency["kind"].as_str());
            let is_aside = kind == Some("dev") || dependency["optional"] == true;
            let is_allowed = allowed.contains(&to) || (is_aside && in_tests.contains(&to));
            if ours.contains(to) && !is_allowed {
                wrong.push(format!("{name} -> {to} ({})", kind.unwrap_or("normal")));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that the design does not allow: {wrong:?}");
}
