//! The OpenAPI document, made from the handlers themselves.

use axum::Json;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{
    audit, capacity, consistency, gateways, health, incidents, metrics, nodes, operations, overrides, reconciliations,
    rollouts, runbooks, sessions, tokens,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Chatfleet control plane", description = "Watches and steers a chat fleet."),
    paths(
        health::healthz,
        health::readyz,
        openapi,
        tokens::whoami,
        gateways::list,
        gateways::show,
        gateways::drain,
        gateways::undrain,
        nodes::list,
        nodes::show,
        nodes::forget,
        operations::list,
        operations::show,
        operations::cancel,
        operations::events,
        runbooks::create,
        runbooks::confirm,
        reconciliations::create,
        rollouts::create,
        rollouts::pause,
        rollouts::resume,
        overrides::list,
        overrides::show,
        overrides::create,
        overrides::end,
        overrides::revert,
        overrides::breakers,
        capacity::plan,
        capacity::events,
        capacity::add,
        capacity::remove,
        capacity::apply,
        metrics::metrics,
        incidents::overview,
        incidents::list,
        incidents::show,
        incidents::ack,
        incidents::resolve,
        incidents::alerts,
        consistency::show,
        consistency::windows,
        consistency::lag,
        sessions::show,
        sessions::kick,
        audit::list,
        audit::verify,
        tokens::list,
        tokens::create,
        tokens::revoke,
    ),
    security(("bearer" = [])),
    modifiers(&Bearer)
)]
pub(super) struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    }
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "health", responses((status = 200)), security(()))]
pub(super) async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use backends::Clock;
    use rand::{SeedableRng as _, rngs::StdRng};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        app::{App, nodes::Nodes},
        http::{Http, routes},
        store::MemoryStore,
    };

    #[tokio::test]
    async fn every_served_route_is_in_the_document_and_vice_versa() {
        let nodes = Nodes::new(Vec::new(), Vec::new());
        let app = App::new(Arc::new(MemoryStore::default()), Clock::simulated(0), StdRng::seed_from_u64(1), nodes);
        let http = Http { app: Arc::new(app), stop: CancellationToken::new() };
        let served = routes::all(&http).list;
        let served: BTreeSet<_> = served.iter().map(|it| (it.path.to_owned(), it.method.as_str().to_owned())).collect();

        let document = serde_json::to_value(Document::openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let documented: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, item)| item.as_object().unwrap().keys().map(|method| (path.clone(), method.clone())))
            .collect();
        assert_eq!(served, documented);
    }

    /// What `-o json` prints are these types: whoever reads it finds here when one of them changes. `UPDATE=1 cargo test -p
    /// chat-control-plane openapi` writes it anew.
    #[test]
    fn the_document_in_docs_is_the_one_that_is_served() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let served = serde_json::to_string_pretty(&Document::openapi()).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &served).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == served, "docs/openapi.json is another one: UPDATE=1 writes it anew");
    }
}
