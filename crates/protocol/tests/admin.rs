//! Golden JSON of the admin bodies that other programs read: a change here is a breaking change.

#![allow(clippy::unwrap_used)]

use chatfleet_protocol::admin::{
    DrainOrdered, DrainRequest, Operation, OperationKind, OperationPhase, OperationState, Problem, ProblemBody,
    ProblemCode, Progress,
};

const OPERATION: &str = concat!(
    r#"{"id":"op-1-ab12","number":1,"epoch":1,"revision":3,"kind":"drain","target":"gw-1","state":"running","#,
    r#""phase":"draining","progress":{"connections_at_start":9,"connections":4,"told_to_migrate":6,"evicted":0,"done":0,"total":0},"#,
    r#""drain":{"deadline_ms":30000,"rate_per_s":100,"forced":false},"reason":"update","who":"ann","#,
    r#""created_ms":1,"updated_ms":2}"#
);

#[test]
fn an_operation() {
    let operation = Operation {
        id: "op-1-ab12".into(),
        number: 1,
        epoch: 1,
        revision: 3,
        kind: OperationKind::Drain,
        target: "gw-1".into(),
        state: OperationState::Running,
        phase: OperationPhase::Draining,
        progress: Progress {
            connections_at_start: 9,
            connections: 4,
            told_to_migrate: 6,
            evicted: 0,
            ..Progress::default()
        },
        drain: Some(DrainOrdered { deadline_ms: 30_000, rate_per_s: 100, forced: false }),
        detail: serde_json::Value::Null,
        reason: "update".into(),
        who: "ann".into(),
        created_ms: 1,
        updated_ms: 2,
        ended_ms: None,
        error: None,
    };
    assert_eq!(serde_json::to_string(&operation).unwrap(), OPERATION);
    assert_eq!(serde_json::from_str::<Operation>(OPERATION).unwrap(), operation);
}

#[test]
fn a_problem() {
    let problem = Problem {
        code: ProblemCode::Refused,
        message: "too full".into(),
        hint: Some("add a gateway first".into()),
        override_flag: Some("--force".into()),
        operation: None,
    };
    let text = concat!(
        r#"{"error":{"code":"refused","message":"too full","hint":"add a gateway first","#,
        r#""override_flag":"--force"}}"#
    );
    assert_eq!(serde_json::to_string(&ProblemBody { error: problem }).unwrap(), text);
}

#[test]
fn a_drain_request_is_empty_by_default_and_strict() {
    assert_eq!(serde_json::from_str::<DrainRequest>("{}").unwrap(), DrainRequest::default());
    assert!(serde_json::from_str::<DrainRequest>(r#"{"dead_line":1}"#).is_err());
}
