use super::*;

#[test]
fn every_runbook_that_comes_with_chatctl_is_well() {
    let mut ids = Vec::new();
    for (file, text) in library::texts() {
        let runbook = parse(text).unwrap_or_else(|why| panic!("{file}: {why}"));
        assert_eq!(format!("{}.md", runbook.id), *file);
        assert_eq!(lint(&runbook), Vec::<String>::new(), "{file}");
        ids.push(runbook.id);
    }
    let modes = protocol::admin::Mode::ALL.map(protocol::admin::Mode::runbook);
    assert!(modes.iter().all(|mode| ids.iter().any(|id| id == mode)), "a failure mode has no runbook");
}

fn runbook(blocks: &str) -> Result<Runbook, String> {
    let front = "id: x\ntitle: t\nrole: operator\nmax_affected: 1\nparams:\n  gateway:\n    about: which";
    parse(&format!("---\n{front}\n---\n{blocks}"))
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (blocks, why) in [
        ("```chatctl kind=check\nx\n```", "line 12: id= is missing"),
        ("```chatctl kind=chuck id=a\n```", "line 12: kind: \"chuck\" is none of check, action, undo"),
        ("```chatctl kind=check id=a\nchatctl node list", "line 12: the block does not end"),
        ("```chatctl kind=check id=a undo=b\n```", "line 12: undo= and confirm= belong to actions"),
        ("```chatctl kind=check id=a\n```\n```chatctl kind=check id=a\n```", "line 14: two blocks are named \"a\""),
        ("```chatctl kind=check id=a timeout=5\n```", "line 12: needs a unit: ms, s, m, h or d"),
    ] {
        let blocks = format!("# T\n\n{blocks}");
        assert_eq!(runbook(&blocks).unwrap_err(), why);
    }
    assert!(parse("# no front matter").is_err());
}

#[test]
fn commands_become_calls_with_their_parameters() {
    let runbook = runbook(
        "## Drain\n```chatctl kind=check id=look\nchatctl wait --for 'gateway/${gateway}.phase==active'\n```\n\
         ```chatctl kind=action id=drain undo=back confirm=${gateway} timeout=2m\n\
         chatctl gateway drain ${gateway} --wait\n```\n\
         ```chatctl kind=undo id=back\nchatctl gateway undrain ${gateway} --wait\n```\n",
    )
    .unwrap();
    let given = BTreeMap::from([("gateway".to_owned(), "gw-1".to_owned())]);
    let plan = plan(&runbook, &given, "why").unwrap();
    let [look, drain] = &plan.steps[..] else { panic!("{plan:?}") };
    assert_eq!(
        (look.calls[0].path.as_str(), look.calls[0].until.as_ref().unwrap().field.as_str()),
        ("/v1/gateways/gw-1", "phase")
    );
    assert_eq!((drain.calls[0].path.as_str(), drain.timeout_ms), ("/v1/gateways/gw-1/drain", 120_000));
    assert_eq!(drain.calls[0].until.as_ref().unwrap().path, "/v1/operations/{id}");
    assert_eq!((drain.confirm.as_deref(), drain.undo[0].path.as_str()), (Some("gw-1"), "/v1/gateways/gw-1/undrain"));
    assert_eq!(drain.calls[0].body["reason"], "why");
    assert_ne!(plan_hash(&plan.steps), plan_hash(&plan.steps[..1]));

    assert!(super::plan(&runbook, &BTreeMap::new(), "").unwrap_err().to_string().contains("--param gateway="));
    let other = BTreeMap::from([("planet".to_owned(), "x".to_owned())]);
    assert!(super::plan(&runbook, &other, "").unwrap_err().to_string().contains("no parameter"));
}

#[test]
fn what_does_not_go_through_the_control_plane_cannot_be_run() {
    for command in
        ["chatctl dev", "chatctl token user ann", "chatctl chat c ann", "chatctl gateway drian x", "rm -rf /"]
    {
        let runbook = runbook(&format!("```chatctl kind=action id=a\n{command}\n```\n")).unwrap();
        let given = BTreeMap::from([("gateway".to_owned(), "g".to_owned())]);
        assert!(plan(&runbook, &given, "").is_err(), "{command}");
    }
    let check = runbook("```chatctl kind=check id=a\nchatctl gateway drain g\n```\n").unwrap();
    let given = BTreeMap::from([("gateway".to_owned(), "g".to_owned())]);
    assert!(plan(&check, &given, "").unwrap_err().to_string().contains("a check only looks"));
    let two = runbook("```chatctl kind=action id=a\nchatctl gateway drain g\nchatctl gateway drain h\n```\n").unwrap();
    assert!(plan(&two, &given, "").unwrap_err().to_string().contains("may touch 1 node and would touch"));
}
