//! `chatctl context`.

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::ArgValueCompleter;
use serde::Serialize;

use crate::{
    complete,
    context::{Context, ContextFile, Jwt, unknown},
    error::CommandError,
    output::{Cell, Column, Tabular, Tone},
    session::Session,
};

/// Name fleets, and choose one
#[derive(Debug, Subcommand)]
pub enum Args {
    /// List contexts
    List,
    /// Make a context the current one
    Use {
        /// The context
        #[arg(add = ArgValueCompleter::new(complete::contexts))]
        name: String,
    },
    /// Show a context; secrets are hidden
    Show {
        /// The context [default: the one in use]
        #[arg(add = ArgValueCompleter::new(complete::contexts))]
        name: Option<String>,
    },
    /// Add a context, or change what is given
    Set(SetArgs),
    /// Forget a context
    Remove {
        /// The context
        #[arg(add = ArgValueCompleter::new(complete::contexts))]
        name: String,
    },
}

/// What `chatctl context set` takes. Secrets can come from variables, so that no process list shows them.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// The context
    name: String,
    /// URL of the control plane; of each replica, separated by commas
    #[arg(long, value_name = "URL")]
    control_plane: Option<String>,
    /// Token for the control plane
    #[arg(long, env = "CHATCTL_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    admin_token: Option<String>,
    /// HTTP URL of a gateway; may be given again
    #[arg(long = "gateway", value_name = "URL")]
    gateways: Vec<String>,
    /// Token with role `service` for the gateways
    #[arg(long, env = "CHATCTL_SERVICE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    service_token: Option<String>,
    /// The secret that signs users' tokens (HS256)
    #[arg(long, env = "CHATCTL_JWT_SECRET", hide_env_values = true, value_name = "SECRET")]
    jwt_secret: Option<String>,
    /// PEM file with the CA that signed the certificates of its https URLs [default: this machine's CAs]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Questions in this context say that it is production, in red
    #[arg(long, value_name = "true|false")]
    production: Option<bool>,
}

/// A context as it may be shown.
#[derive(Serialize)]
struct Shown {
    name: String,
    current: bool,
    control_plane: String,
    gateways: Vec<String>,
    ca: Option<PathBuf>,
    production: bool,
    has_admin_token: bool,
    has_service_token: bool,
    jwt_alg: Option<String>,
}

impl Shown {
    fn new(name: &str, context: &Context, current: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            current: current == Some(name),
            control_plane: context.control_plane.clone(),
            gateways: context.gateways.clone(),
            ca: context.ca.clone(),
            production: context.production,
            has_admin_token: context.admin_token.is_some(),
            has_service_token: context.service_token.is_some(),
            jwt_alg: context.jwt.as_ref().map(|jwt| jwt.alg.clone()),
        }
    }
}

impl Tabular for Shown {
    const COLUMNS: &'static [Column] = &[
        Column("CONTEXT", false),
        Column("CURRENT", false),
        Column("CONTROL PLANE", false),
        Column("PRODUCTION", false),
        Column("GATEWAYS", true),
        Column("SECRETS", true),
    ];

    fn row(&self) -> Vec<Cell> {
        let secrets =
            [("admin", self.has_admin_token), ("service", self.has_service_token), ("jwt", self.jwt_alg.is_some())];
        let secrets: Vec<_> = secrets.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
        vec![
            (&self.name).into(),
            if self.current { "yes" } else { "" }.into(),
            (&self.control_plane).into(),
            Cell::new(if self.production { "yes" } else { "" }, Tone::Bad),
            self.gateways.join(",").into(),
            secrets.join(",").into(),
        ]
    }
}

pub(super) fn run(session: &Session, args: Args) -> Result<(), CommandError> {
    let mut file = ContextFile::load()?;
    match args {
        Args::List => {
            let current = file.current.as_deref();
            let shown: Vec<_> = file.contexts.iter().map(|(name, it)| Shown::new(name, it, current)).collect();
            session.ui.list(&shown)
        }
        Args::Use { name } => {
            file.pick(Some(&name))?;
            file.current = Some(name.clone());
            file.save()?;
            session.ui.note(&format!("context {name} is in use"));
            session.ui.answer(&serde_json::json!({ "context": name, "current": true }))
        }
        Args::Show { name } => {
            let (name, context) = file.pick(name.as_deref().or(session.global.context.as_deref()))?;
            session.ui.one(&Shown::new(&name, &context, file.current.as_deref()))
        }
        Args::Set(args) => {
            let name = args.name.clone();
            let context = changed(file.contexts.get(&name).cloned(), args)?;
            file.set(&name, context);
            file.save()?;
            session.ui.note(&format!("context {name} is set"));
            session.ui.answer(&serde_json::json!({ "context": name, "current": file.current.as_ref() == Some(&name) }))
        }
        Args::Remove { name } => {
            if file.contexts.remove(&name).is_none() {
                return Err(unknown(&name));
            }
            file.current.take_if(|current| *current == name);
            file.save()?;
            session.ui.note(&format!("context {name} is removed"));
            session.ui.answer(&serde_json::json!({ "context": name, "current": false }))
        }
    }
}

fn changed(before: Option<Context>, args: SetArgs) -> Result<Context, CommandError> {
    if before.is_none() && args.control_plane.is_none() {
        return Err(CommandError::usage(format!("context {} is new: it needs --control-plane URL", args.name)));
    }
    let control_planes = args.control_plane.iter().flat_map(|urls| urls.split(','));
    for url in control_planes.chain(args.gateways.iter().map(String::as_str)).map(str::trim) {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(CommandError::usage(format!("{url:?} is not an http URL")));
        }
    }
    let mut context = before.unwrap_or_default();
    if let Some(url) = args.control_plane {
        context.control_plane = url;
    }
    if !args.gateways.is_empty() {
        context.gateways = args.gateways;
    }
    context.admin_token = args.admin_token.or(context.admin_token);
    context.service_token = args.service_token.or(context.service_token);
    // As it is found from wherever chatctl is run.
    if let Some(ca) = args.ca {
        let found = std::path::absolute(&ca).ok().filter(|path| path.is_file());
        context.ca =
            Some(found.ok_or_else(|| CommandError::usage(format!("--ca: there is no file {}", ca.display())))?);
    }
    context.production = args.production.unwrap_or(context.production);
    if let Some(secret) = args.jwt_secret {
        context.jwt = Some(Jwt { alg: "HS256".to_owned(), secret });
    }
    Ok(context)
}
