//! What people and programs see. Results go to stdout, everything else to stderr.

mod progress;
mod table;
mod time;
mod ui;

pub use domain::{counted, noun, thousands};

pub use self::{
    progress::Progress,
    table::{Cell, Column, Tabular, Tone},
    time::{format_ms, format_span, time_of_day},
    ui::{Format, Ui},
};
