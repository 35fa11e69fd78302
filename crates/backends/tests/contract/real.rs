//! Where the real systems are.

/// The address in an environment variable that `deploy/local/stack env` prints. `None`: said loudly, and the test
/// counts as skipped. In CI a skip is a failure.
pub(crate) fn address(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok().filter(|address| !address.is_empty());
    if address.is_none() {
        assert!(
            std::env::var_os("CHATFLEET_REAL_REQUIRED").is_none(),
            "{variable} is not set, and a skip is a failure"
        );
        eprintln!("SKIPPED: {variable} is not set; `deploy/local/stack up` and `eval $(deploy/local/stack env)`");
    }
    address
}
