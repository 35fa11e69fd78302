//! What is to say of any node, gateway or worker: whether it is heard, and by which desired state it runs.

use protocol::admin::Node;

use super::Fact;
use crate::{
    output::{Tone, format_span},
    tui::state::Store,
};

/// The node with this name.
pub(super) fn find<'a>(store: &'a Store, key: &str) -> Option<&'a Node> {
    store.nodes.value.as_ref()?.iter().find(|it| it.id == key)
}

/// Facts of a node.
pub(super) fn facts(it: &Node) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("heard", format!("{} ago", format_span(it.heard_ms_ago))),
        Fact::new("desired state", format!("version {}, acked {}", it.desired_version, it.acked_version)),
    ];
    if let Some(nack) = &it.nack {
        facts.push(Fact::new("refused", format!("version {}: {}", nack.version, nack.reason)).tone(Tone::Bad));
    }
    facts.push(Fact::new("life", format!("{} (grows at each start)", it.incarnation)));
    facts.push(Fact::new("software", &it.software));
    facts
}
