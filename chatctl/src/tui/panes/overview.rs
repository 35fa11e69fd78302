//! The overview: six failure modes as lights, key figures, the last 15 minutes, gateways as a heat map, troubles. Its
//! rows are the lights.

use protocol::admin::{LightState, Mode};

use super::{Cell, Column, Fact, Pane, Row, to_yaml};
use crate::{
    output::Tone,
    tui::{
        event::Need,
        state::{Store, figure},
    },
};

pub(super) struct Overview;

impl Pane for Overview {
    fn name(&self) -> &'static str {
        "overview"
    }

    fn about(&self) -> &'static str {
        "the whole fleet on one page; enter on a failure mode shows its incidents"
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::Overview, Need::Gateways]
    }

    fn columns(&self) -> &'static [Column] {
        &[]
    }

    fn rows(&self, store: &Store) -> Vec<Row> {
        let lights = store.overview.value.iter().flat_map(|overview| &overview.lights);
        lights
            .map(|light| {
                let word = match light.state {
                    LightState::Firing => "FIRING",
                    other => other.as_str(),
                };
                let is_known = light.state != LightState::Unknown;
                // The unit stands once, behind the threshold.
                let unit = if light.unit == "%" { "%" } else { "" };
                let value = if is_known { figure(light.value, unit) } else { "-".to_owned() };
                Row::new(
                    light.mode.as_str(),
                    vec![
                        Cell::text(symbol(light.state)).tone(tone(light.state)),
                        Cell::text(word).tone(tone(light.state)),
                        Cell::text(words(light.mode)),
                        Cell::text(value).tone(if is_known { Tone::Plain } else { Tone::Dim }),
                        Cell::text(figure(light.threshold, &light.unit)).tone(Tone::Dim),
                        Cell::text(&light.figure).tone(Tone::Dim),
                        Cell::text(light.incident.clone().unwrap_or_default()).tone(Tone::Bad),
                    ],
                )
            })
            .collect()
    }

    fn facts(&self, store: &Store, key: &str) -> Vec<Fact> {
        let lights = store.overview.value.iter().flat_map(|overview| &overview.lights);
        let Some(light) = lights.into_iter().find(|light| light.mode.as_str() == key) else { return Vec::new() };
        let incident = light.incident.clone().unwrap_or_else(|| "none is open".to_owned());
        vec![
            Fact::new("failure mode", words(light.mode)),
            Fact::new("light", format!("{} {}", symbol(light.state), light.state)).tone(tone(light.state)),
            Fact::new("figure", &light.figure),
            Fact::new("now", figure(light.value, &light.unit)),
            Fact::new("fires at", figure(light.threshold, &light.unit)),
            Fact::new("incident", incident),
            Fact::new("runbook", light.mode.runbook()),
        ]
    }

    fn yaml(&self, store: &Store, key: &str) -> Option<String> {
        let mut lights = store.overview.value.iter().flat_map(|overview| &overview.lights);
        to_yaml(lights.find(|light| light.mode.as_str() == key))
    }

    fn leads_to(&self, key: &str) -> Option<(&'static str, String)> {
        Some(("incidents", key.replace('_', " ")))
    }

    fn enters(&self) -> (&'static str, &'static str) {
        ("incidents", "incidents of this failure mode")
    }

    fn empty(&self) -> &'static str {
        "no failure mode is watched"
    }
}

/// A failure mode in words.
pub(super) fn words(mode: Mode) -> String {
    mode.as_str().replace('_', " ")
}

fn symbol(state: LightState) -> &'static str {
    match state {
        LightState::Good => "●",
        LightState::Near => "◐",
        LightState::Firing => "▲",
        LightState::Unknown => "?",
    }
}

fn tone(state: LightState) -> Tone {
    match state {
        LightState::Good => Tone::Good,
        LightState::Near => Tone::Busy,
        LightState::Firing => Tone::Bad,
        LightState::Unknown => Tone::Dim,
    }
}
