//! Contexts: which fleets there are, and the secrets to talk to them. In `$XDG_CONFIG_HOME/chatctl/config.toml`,
//! readable by its owner alone, replaced as a whole.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use crate::error::{CommandError, Kind};

/// A fleet.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// URL of the control plane; of each replica, separated by commas.
    pub control_plane: String,
    /// Bearer token for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_token: Option<String>,
    /// HTTP URLs of gateways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// Token with role `service` for the gateways. Signed with `jwt` when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_token: Option<String>,
    /// PEM file with the CA that signed the fleet's certificates; none: whoever this machine believes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Questions say so, in red.
    #[serde(default)]
    pub production: bool,
    /// How users' tokens are signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
}

/// How tokens are signed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// Only `HS256`.
    pub alg: String,
    /// The shared secret.
    pub secret: String,
}

impl Context {
    /// True when something of the fleet is called over TLS.
    pub(crate) fn has_tls(&self) -> bool {
        let planes = self.control_plane.split(',').map(str::trim);
        planes.chain(self.gateways.iter().map(String::as_str)).any(|url| url.starts_with("https:"))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("control_plane", &self.control_plane).finish_non_exhaustive()
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("alg", &self.alg).finish_non_exhaustive()
    }
}

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextFile {
    /// The context in use when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// All contexts, by name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

impl ContextFile {
    /// Where it is.
    pub fn path() -> Result<PathBuf, CommandError> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        let config = config.ok_or_else(|| CommandError::usage("neither XDG_CONFIG_HOME nor HOME is set"))?;
        Ok(config.join("chatctl").join("config.toml"))
    }

    /// Reads it; a missing file has no contexts.
    pub fn load() -> Result<Self, CommandError> {
        let path = Self::path()?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(CommandError::failed(format!("cannot read {}: {error}", path.display()))),
        };
        // `message()` alone: the whole error quotes the line, and the line may hold a secret.
        toml::from_str(&text).map_err(|error| {
            CommandError::usage(format!("{} is not valid: {}", path.display(), error.message()))
                .hint("mend the file or remove it")
        })
    }

    /// Replaces it as a whole.
    pub fn save(&self) -> Result<(), CommandError> {
        let path = Self::path()?;
        let failed =
            |error: &dyn fmt::Display| CommandError::failed(format!("cannot write {}: {error}", path.display()));
        let text = toml::to_string_pretty(self).map_err(|error| failed(&error))?;
        self.write(&path, &text).map_err(|error| failed(&error))
    }

    fn write(&self, path: &std::path::Path, text: &str) -> io::Result<()> {
        let new = path.with_extension(format!("new.{}", std::process::id()));
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    }

    /// The named context, or the current one.
    pub fn pick(&self, name: Option<&str>) -> Result<(String, Context), CommandError> {
        let Some(name) = name.or(self.current.as_deref()) else {
            return Err(CommandError::usage("no context is set, so no fleet is known")
                .hint("start a fleet with `chatctl dev`, or name one with `chatctl context set`"));
        };
        match self.contexts.get(name) {
            Some(context) => Ok((name.to_owned(), context.clone())),
            None => Err(unknown(name)),
        }
    }

    /// Adds or replaces a context; the first becomes the current one.
    pub fn set(&mut self, name: &str, context: Context) {
        self.contexts.insert(name.to_owned(), context);
        self.current.get_or_insert_with(|| name.to_owned());
    }
}

pub(crate) fn unknown(name: &str) -> CommandError {
    CommandError::new(Kind::NotFound, format!("there is no context {name:?}")).hint("chatctl context list shows all")
}
