use domain::STORE_RULE;

use super::*;

fn cellar() -> Dependency {
    Dependency::new("cellar", "stone", STORE_RULE)
}

async fn called(dependency: &Dependency, outcome: StoreResult<()>) -> StoreResult<()> {
    dependency.pass(std::future::ready(outcome)).await
}

fn failed() -> StoreResult<()> {
    Err(StoreError::unavailable("cellar", "flooded"))
}

#[tokio::test(start_paused = true)]
async fn a_store_is_down_when_nothing_succeeds_for_a_while() {
    let dependency = cellar();
    assert_eq!(dependency.trouble(), None);
    let _ = called(&dependency, failed()).await;
    assert_eq!(dependency.trouble(), None);
    tokio::time::advance(Duration::from_secs(5)).await;
    let _ = called(&dependency, failed()).await;
    assert_eq!(dependency.trouble().as_deref(), Some("cellar (stone) is down for 5 s: flooded"));
    called(&dependency, Ok(())).await.unwrap();
    assert_eq!(dependency.trouble(), None);
    assert_eq!(dependency.counts(), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_answers_in_the_stores_place() {
    let dependency = cellar();
    for _ in 0..20 {
        let _ = called(&dependency, failed()).await;
    }
    assert_eq!(dependency.status().position, BreakerPosition::Open);
    let refused = called(&dependency, Ok(())).await.unwrap_err();
    assert!(refused.to_string().contains("breaker is open (after errors)"), "{refused}");
    assert_eq!(dependency.counts(), (20, 20), "a refused call never reached the store");
    tokio::time::advance(Duration::from_secs(1)).await;
    called(&dependency, Ok(())).await.unwrap();
    called(&dependency, Ok(())).await.unwrap();
    assert_eq!(dependency.status().position, BreakerPosition::Closed);

    dependency.force(Some((BreakerPosition::Open, "ov-1")));
    assert!(called(&dependency, Ok(())).await.is_err());
    assert_eq!(dependency.trouble().as_deref(), Some("cellar (stone) is held open by ov-1"));
    dependency.force(None);
    called(&dependency, Ok(())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gave_up_counts_as_an_error() {
    let dependency = cellar();
    let hanging = dependency.pass(std::future::pending::<StoreResult<()>>());
    assert!(tokio::time::timeout(Duration::from_secs(2), hanging).await.is_err());
    let status = dependency.status();
    assert_eq!((dependency.counts(), status.errors), ((1, 1), 1));
    assert!((2_000..2_500).contains(&status.p99_ms), "{}", status.p99_ms);
}

#[tokio::test(start_paused = true)]
async fn faults_make_calls_slow_or_fail() {
    let dependency = Dependency::new("cellar", "stone", domain::BreakerRule { calls_min: 1_000, ..STORE_RULE });
    dependency.inject(CallFault { latency_ms: 300, error_percent: 0 });
    let began = Instant::now();
    called(&dependency, Ok(())).await.unwrap();
    assert_eq!(began.elapsed().as_millis(), 300);
    dependency.inject(CallFault { latency_ms: 0, error_percent: 30 });
    let mut failed = 0;
    for _ in 0..200 {
        failed += usize::from(called(&dependency, Ok(())).await.is_err());
    }
    assert_eq!(failed, 60);
    dependency.inject(CallFault::default());
    called(&dependency, Ok(())).await.unwrap();
}
