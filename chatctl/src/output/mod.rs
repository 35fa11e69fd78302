//! What people and programs see. Results go to stdout, everything else to stderr.

mod number;
mod progress;
mod table;
mod time;
mod ui;

pub use self::{
    number::thousands,
    progress::Progress,
    table::{Cell, Column, Tabular, Tone},
    time::{format_ms, format_span, time_of_day},
    ui::{Format, Ui},
};
