//! One run of chatctl: its flags, its terminal, and its way to the fleet.

use crate::{
    api::Api,
    cli::Global,
    context::{Context, ContextFile},
    error::CommandError,
    gateway_api::GatewayApi,
    output::Ui,
};

/// What every command gets.
#[derive(Debug)]
pub struct Session {
    /// The global flags.
    pub global: Global,
    /// Where to print and to ask.
    pub ui: Ui,
}

impl Session {
    /// A run with these flags.
    pub fn new(global: Global) -> Self {
        let ui = Ui::new(&global);
        Self { global, ui }
    }

    /// The context in use, and its name.
    pub fn context(&self) -> Result<(String, Context), CommandError> {
        ContextFile::load()?.pick(self.global.context.as_deref())
    }

    /// The control plane of the context in use.
    pub fn api(&self) -> Result<Api, CommandError> {
        let (_, context) = self.context()?;
        Api::new(&context)
    }

    /// The gateways of the context in use.
    pub fn gateway_api(&self) -> Result<GatewayApi, CommandError> {
        let (name, context) = self.context()?;
        GatewayApi::new(&name, &context)
    }

    /// Asks before something severe. In a production context the question says so.
    pub fn confirm(&self, question: &str) -> Result<(), CommandError> {
        let (name, context) = self.context()?;
        self.ui.confirm(question, context.production.then_some(name.as_str()))
    }
}
