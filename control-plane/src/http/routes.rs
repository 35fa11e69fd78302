//! Every route, with the least role that may use it.

use axum::{
    Router,
    handler::Handler,
    middleware::from_fn_with_state,
    routing::{MethodFilter, on},
};
use protocol::admin::Role;

use super::{
    Http, audit, capacity, consistency, gateways, guard, health, incidents, metrics, nodes, openapi, operations,
    overrides, reconciliations, rollouts, runbooks, sessions, tokens,
};

/// How a route is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    /// Looks.
    Get,
    /// Changes: leaves a line in the audit.
    Post,
    /// Changes, too.
    Delete,
}

impl Method {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Delete => "delete",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// One route, as the guard and the tests see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// Nobody needs a token for `None`.
    pub(super) role: Option<Role>,
}

pub(super) struct Routes<'a> {
    http: &'a Http,
    pub(super) router: Router<Http>,
    pub(super) list: Vec<Route>,
}

impl Routes<'_> {
    fn add<H, T>(mut self, method: Method, path: &'static str, role: Option<Role>, handler: H) -> Self
    where
        H: Handler<T, Http>,
        T: 'static,
    {
        let route = Route { method, path, role };
        let gate = guard::Gate { app: self.http.app.clone(), route };
        self.router =
            self.router.route(path, on(method.filter(), handler).route_layer(from_fn_with_state(gate, guard::guard)));
        self.list.push(route);
        self
    }
}

/// The list.
pub(super) fn all(http: &Http) -> Routes<'_> {
    use Method::{Delete, Get, Post};
    let (viewer, operator, admin) = (Some(Role::Viewer), Some(Role::Operator), Some(Role::Admin));
    Routes { http, router: Router::new(), list: Vec::new() }
        .add(Get, "/healthz", None, health::healthz)
        .add(Get, "/readyz", None, health::readyz)
        .add(Get, "/v1/openapi.json", None, openapi::openapi)
        .add(Get, "/v1/whoami", viewer, tokens::whoami)
        .add(Get, "/v1/gateways", viewer, gateways::list)
        .add(Get, "/v1/gateways/{id}", viewer, gateways::show)
        .add(Post, "/v1/gateways/{id}/drain", operator, gateways::drain)
        .add(Post, "/v1/gateways/{id}/undrain", operator, gateways::undrain)
        .add(Get, "/v1/nodes", viewer, nodes::list)
        .add(Get, "/v1/nodes/{id}", viewer, nodes::show)
        .add(Delete, "/v1/nodes/{id}", operator, nodes::forget)
        .add(Get, "/v1/operations", viewer, operations::list)
        .add(Get, "/v1/operations/{id}", viewer, operations::show)
        .add(Post, "/v1/operations/{id}/cancel", operator, operations::cancel)
        .add(Get, "/v1/operations/{id}/events", viewer, operations::events)
        .add(Post, "/v1/operations/{id}/pause", operator, rollouts::pause)
        .add(Post, "/v1/operations/{id}/resume", operator, rollouts::resume)
        .add(Post, "/v1/operations/{id}/confirm", operator, runbooks::confirm)
        .add(Post, "/v1/runbooks/runs", operator, runbooks::create)
        .add(Post, "/v1/reconciliations", operator, reconciliations::create)
        .add(Post, "/v1/rollouts", operator, rollouts::create)
        .add(Get, "/v1/overrides", viewer, overrides::list)
        .add(Post, "/v1/overrides", operator, overrides::create)
        .add(Post, "/v1/overrides/revert", operator, overrides::revert)
        .add(Get, "/v1/overrides/{id}", viewer, overrides::show)
        .add(Delete, "/v1/overrides/{id}", operator, overrides::end)
        .add(Get, "/v1/breakers", viewer, overrides::breakers)
        .add(Get, "/v1/consistency", viewer, consistency::show)
        .add(Get, "/v1/consistency/windows", viewer, consistency::windows)
        .add(Get, "/v1/lag", viewer, consistency::lag)
        .add(Get, "/v1/sessions/{id}", viewer, sessions::show)
        .add(Post, "/v1/sessions/{id}/kick", operator, sessions::kick)
        .add(Get, "/metrics", None, metrics::metrics)
        .add(Get, "/v1/capacity", viewer, capacity::plan)
        .add(Get, "/v1/events", viewer, capacity::events)
        .add(Post, "/v1/events", operator, capacity::add)
        .add(Delete, "/v1/events/{id}", operator, capacity::remove)
        .add(Post, "/v1/prescale", operator, capacity::apply)
        .add(Get, "/v1/overview", viewer, incidents::overview)
        .add(Get, "/v1/incidents", viewer, incidents::list)
        .add(Get, "/v1/incidents/{id}", viewer, incidents::show)
        .add(Post, "/v1/incidents/{id}/ack", operator, incidents::ack)
        .add(Post, "/v1/incidents/{id}/resolve", operator, incidents::resolve)
        .add(Get, "/v1/alerts", viewer, incidents::alerts)
        .add(Get, "/v1/audit", viewer, audit::list)
        .add(Get, "/v1/audit/verify", viewer, audit::verify)
        .add(Get, "/v1/tokens", admin, tokens::list)
        .add(Post, "/v1/tokens", admin, tokens::create)
        .add(Delete, "/v1/tokens/{id}", admin, tokens::revoke)
}
