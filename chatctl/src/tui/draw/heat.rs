//! Gateways as a heat map: how full each is. With room for it a tile has the name; else it is a digit.

use protocol::admin::{Gateway, GatewayPhase, NodeStatus};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{put, title};
use crate::{
    output::Tone,
    tui::{
        state::{State, load_percent, load_tone},
        theme::Theme,
    },
};

/// Longer names are cut in a tile.
const NAME_MAX: usize = 16;
/// Beside its name a tile has three spaces and `100%`.
const TILE: usize = 7;

/// How many lines of tiles there are to draw in a width.
pub(super) fn lines(state: &State, width: u16) -> u16 {
    let gateways = state.store.gateways.value.iter().flatten();
    let (count, name) = gateways.fold((0, 0), |(count, name), it| (count + 1, name.max(it.id.chars().count())));
    let tile = name.min(NAME_MAX) + TILE;
    let a_row = ((usize::from(width).saturating_sub(1)) / (tile + 1)).max(1);
    u16::try_from(count.max(1_usize).div_ceil(a_row)).unwrap_or(u16::MAX)
}

/// Draws it: a title, and tiles in what is left.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) {
    let gateways: Vec<&Gateway> = state.store.gateways.value.iter().flatten().collect();
    let rows = usize::from(area.height.saturating_sub(1));
    let width = usize::from(area.width.saturating_sub(2));
    if rows == 0 || width == 0 {
        return;
    }
    let head = Rect { height: 1, ..area };
    if gateways.is_empty() {
        title(buffer, head, "gateways: how full", theme);
        put(buffer, area.x + 1, area.y + 1, area.width, "no gateway is known", theme.dim());
        return;
    }
    let name = gateways.iter().map(|it| it.id.chars().count()).max().unwrap_or(0).min(NAME_MAX);
    let tile = name + TILE;
    let a_row = ((width + 1) / (tile + 1)).max(1);
    if gateways.len().div_ceil(a_row) <= rows && tile <= width {
        title(buffer, head, "gateways: how full", theme);
        for (index, gateway) in gateways.iter().enumerate() {
            let (x, y) = spot(area, index % a_row * (tile + 1), index / a_row);
            let id: String = gateway.id.chars().take(NAME_MAX).collect();
            let text = format!(" {id:<name$} {:>4} ", word(gateway));
            put(buffer, x, y, u16::try_from(tile).unwrap_or(0), &text, theme.heat(tone(gateway)));
        }
        return;
    }
    digits(buffer, area, gateways, (rows, width), theme);
}

/// A digit each. When not all have room, the fullest are shown.
fn digits(buffer: &mut Buffer, area: Rect, mut gateways: Vec<&Gateway>, (rows, width): (usize, usize), theme: Theme) {
    let room = rows * width;
    let mut text = "gateways: tens of percent full, D draining, X lost".to_owned();
    if gateways.len() > room {
        gateways.sort_by_key(|it| (it.status != NodeStatus::Lost, std::cmp::Reverse(load_percent(it))));
        text = format!("{text}; the fullest {room} of {}", gateways.len());
    }
    title(buffer, Rect { height: 1, ..area }, &text, theme);
    for (index, gateway) in gateways.into_iter().take(room).enumerate() {
        let (x, y) = spot(area, index % width, index / width);
        let digit = match (gateway.status, gateway.phase) {
            (NodeStatus::Lost, _) => "X".to_owned(),
            (_, GatewayPhase::Active) => (load_percent(gateway) / 10).min(9).to_string(),
            _ => "D".to_owned(),
        };
        put(buffer, x, y, 1, &digit, theme.heat(tone(gateway)));
    }
}

fn spot(area: Rect, x: usize, y: usize) -> (u16, u16) {
    let to = |n: usize| u16::try_from(n).unwrap_or(0);
    (area.x + 1 + to(x), area.y + 1 + to(y))
}

fn word(gateway: &Gateway) -> String {
    match (gateway.status, gateway.phase) {
        (NodeStatus::Lost, _) => "lost".to_owned(),
        (_, GatewayPhase::Active) => format!("{}%", load_percent(gateway)),
        (_, GatewayPhase::Draining | GatewayPhase::Evicting) => "move".to_owned(),
        (_, GatewayPhase::Drained | GatewayPhase::Forced) => "off".to_owned(),
    }
}

fn tone(gateway: &Gateway) -> Tone {
    match gateway.phase {
        _ if gateway.status == NodeStatus::Lost => Tone::Bad,
        GatewayPhase::Active => load_tone(gateway),
        GatewayPhase::Draining | GatewayPhase::Evicting => Tone::Busy,
        GatewayPhase::Drained | GatewayPhase::Forced => Tone::Dim,
    }
}
