//! The top: where this is and who one is, the names of the panes, and what is wrong now.

use ratatui::buffer::Buffer;

use super::{put, put_right};
use crate::{
    output::{counted, time_of_day},
    tui::{
        panes::{ALL, clean},
        state::{Areas, State, Tab, tabs},
        theme::Theme,
    },
};

pub(super) fn draw(buffer: &mut Buffer, areas: &Areas, state: &State, theme: Theme) {
    let area = areas.header;
    let style = theme.header(state.setting.is_production);
    buffer.set_style(area, style);
    let right = format!("{}{} UTC", incidents(state), time_of_day(state.store.now_ms));
    let room = u16::try_from(right.chars().count()).unwrap_or(0) + 2;
    put(buffer, 1, area.y, area.width.saturating_sub(room + 2), &left(state), style);
    put_right(buffer, area.width.saturating_sub(room), area.y, room - 1, &right, style);

    let tabs = tabs(area.width, state.at);
    for tab in &tabs {
        let style = if tab.pane == state.at { theme.selected() } else { theme.dim() };
        put(buffer, tab.x, areas.tabs.y, area.width.saturating_sub(tab.x), &tab.text, style);
    }
    // There are more on that side.
    if tabs.first().is_some_and(|tab| tab.pane > 0) {
        put(buffer, 0, areas.tabs.y, 1, "‹", theme.key());
    }
    let is_cut = |tab: &Tab| tab.pane + 1 < ALL.len() || usize::from(tab.x) + tab.text.len() > usize::from(area.width);
    if tabs.last().is_some_and(is_cut) {
        put(buffer, area.width.saturating_sub(1), areas.tabs.y, 1, "›", theme.key());
    }
    for (banner, y) in state.banners().iter().zip(areas.banner.y..areas.banner.bottom()) {
        buffer.set_style(ratatui::layout::Rect { y, height: 1, ..areas.banner }, theme.alarm());
        put(buffer, 1, y, area.width.saturating_sub(2), &format!("! {banner}"), theme.alarm());
    }
}

fn left(state: &State) -> String {
    let setting = &state.setting;
    let production = if setting.is_production { "PRODUCTION  " } else { "" };
    let who = match &state.store.whoami.value {
        Some(it) => format!("{} ({})", it.name, it.role),
        None => "nobody yet".to_owned(),
    };
    let only = if setting.is_read_only { ", read only" } else { "" };
    let url = setting.url.strip_prefix("http://").unwrap_or(&setting.url);
    clean(&format!("{production}chatctl  {}  {who}{only}  {url}", setting.context))
}

fn incidents(state: &State) -> String {
    match state.store.overview.value.as_ref().map_or(0, |overview| overview.incidents_open) {
        0 => String::new(),
        n => format!("{}  ", counted(n, "incidents")),
    }
}
