//! The overview's picture: one column on a narrow terminal, two on a wide one.

use protocol::admin::{Overview, Point};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    heat, lights, put,
    sparkline::{self, Curve},
    title,
};
use crate::{
    output::{Tone, counted, format_span, thousands},
    tui::{
        panes::clean,
        state::{LIGHTS_AT, State},
        theme::Theme,
    },
};

/// From this width on there are two columns.
const WIDE_FROM: u16 = 110;
/// A title and six lights.
const LIGHTS: u16 = 7;
/// So wide, lights say all.
const LIGHTS_WIDTH: u16 = 90;
/// So wide, curves are worth looking at.
const CURVES_WIDTH: u16 = 41;
/// The lines of figures at the top.
const FIGURES: u16 = LIGHTS_AT - 1;
/// Curves.
const CURVES: u16 = 4;
/// Higher than this a curve says no more.
const CURVE_MAX: u16 = 8;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) {
    let Some(overview) = &state.store.overview.value else { return };
    figures(buffer, area, overview, theme);
    let below = cut(area, FIGURES, area.height.saturating_sub(FIGURES));
    if area.width >= WIDE_FROM {
        let left = (area.width * 11 / 20).min(100).max((area.width - CURVES_WIDTH).min(LIGHTS_WIDTH));
        let (left, right) =
            (Rect { width: left, ..below }, Rect { x: below.x + left + 1, width: below.width - left - 1, ..below });
        lights::draw(buffer, cut(left, 0, LIGHTS), state, theme);
        let tiles = heat::lines(state, left.width).min(left.height.saturating_sub(LIGHTS) / 2);
        heat::draw(buffer, cut(left, LIGHTS + 1, 1 + tiles), state, theme);
        notes(buffer, cut(left, LIGHTS + tiles + 3, left.height), overview, theme);
        let curve = (right.height.saturating_sub(1) / CURVES).clamp(1, CURVE_MAX);
        curves(buffer, cut(right, 0, 1 + CURVES * curve), overview, curve, theme);
        return;
    }
    // On 24 lines each part has its least; more lines go to the curves, the tiles and the notes.
    let more = below.height.saturating_sub(LIGHTS + 1 + CURVES + 3 + 4);
    let curve = (1 + more / 8).min(CURVE_MAX);
    let tiles = heat::lines(state, below.width).min(2 + more / 6);
    lights::draw(buffer, cut(below, 0, LIGHTS), state, theme);
    curves(buffer, cut(below, LIGHTS, 1 + CURVES * curve), overview, curve, theme);
    let at = LIGHTS + 1 + CURVES * curve;
    heat::draw(buffer, cut(below, at, 1 + tiles), state, theme);
    notes(buffer, cut(below, at + 1 + tiles, below.height), overview, theme);
}

/// The lines of an area from one on, as many as there are.
fn cut(area: Rect, from: u16, rows: u16) -> Rect {
    let y = (area.y + from).min(area.bottom());
    Rect { y, height: rows.min(area.bottom() - y), ..area }
}

fn figures(buffer: &mut Buffer, area: Rect, overview: &Overview, theme: Theme) {
    let now = &overview.now;
    let oldest = format_span(now.lag_ms);
    let lag = match (now.lag_records, area.width >= WIDE_FROM) {
        (0, _) => "none".to_owned(),
        (records, true) => format!("{}, oldest {oldest}", counted(records, "records")),
        (records, false) => format!("{} ({oldest})", thousands(records)),
    };
    let nodes = |live: u64, lost: u64| match lost {
        0 => format!("{live} live"),
        _ => format!("{live} live, {lost} LOST"),
    };
    let lines: [&[(&str, String, bool)]; 2] = [
        &[
            ("users", format!("{} of {}", thousands(overview.users), thousands(overview.capacity)), false),
            ("messages", format!("{}/s", thousands(now.messages_per_s.round() as u64)), false),
            ("delivery p99", format!("{} ms", thousands(now.delivery_p99_ms)), false),
            ("lag", lag, false),
        ],
        &[
            ("gateways", nodes(overview.gateways_live, overview.gateways_lost), overview.gateways_lost > 0),
            ("workers", nodes(overview.workers_live, overview.workers_lost), overview.workers_lost > 0),
            ("incidents", thousands(overview.incidents_open), overview.incidents_open > 0),
            ("operations", thousands(overview.operations_running), false),
            ("overrides", thousands(overview.overrides.len() as u64), false),
        ],
    ];
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        let mut x = area.x + 1;
        for (name, value, is_bad) in *line {
            x = put(buffer, x, y, area.right().saturating_sub(x), name, theme.dim()) + 1;
            let style = if *is_bad { theme.tone(Tone::Bad) } else { theme.strong() };
            x = put(buffer, x, y, area.right().saturating_sub(x), value, style);
            x += if area.width >= WIDE_FROM { 4 } else { 2 };
        }
    }
}

fn curves(buffer: &mut Buffer, area: Rect, overview: &Overview, height: u16, theme: Theme) {
    title(buffer, Rect { height: area.height.min(1), ..area }, "last 15 minutes", theme);
    let number = |value: u64| thousands(value);
    let ms = |value: u64| format!("{} ms", thousands(value));
    let all = [
        curve(overview, "messages/s", |point| point.messages_per_s.max(0.0).round() as u64, number),
        curve(overview, "delivery p99", |point| point.delivery_p99_ms, ms),
        curve(overview, "lag, records", |point| point.lag_records, number),
        curve(overview, "connections", |point| point.connections, number),
    ];
    for (index, curve) in (0..).zip(&all) {
        let place = cut(area, 1 + index * height, height);
        if place.height > 0 {
            sparkline::draw(buffer, place, curve, theme);
        }
    }
}

fn curve<'a>(
    overview: &Overview,
    name: &'a str,
    value: impl Fn(&Point) -> u64,
    say: impl Fn(u64) -> String,
) -> Curve<'a> {
    let values: Vec<u64> = overview.history.iter().map(&value).collect();
    let now = value(&overview.now);
    let max = values.iter().copied().max().unwrap_or(0).max(now);
    Curve { name, values, now: say(now), max: say(max) }
}

/// What nodes complain of, and what is forced. When not all has room, each has a part of it.
fn notes(buffer: &mut Buffer, area: Rect, overview: &Overview, theme: Theme) {
    if area.height == 0 {
        return;
    }
    title(buffer, Rect { height: 1, ..area }, "troubles, and what is forced for a while", theme);
    let troubles = overview.troubles.iter().map(|it| (format!("trouble: {it}"), Tone::Bad));
    let forced = overview.overrides.iter().map(|it| {
        let tone = if it.lever.is_fault() { Tone::Bad } else { Tone::Busy };
        let left = format_span(it.left_ms);
        (format!("forced: {} on {}, {left} left ({}: {})", it.lever, it.scope, it.who, it.reason), tone)
    });
    let (all, room) = (troubles.len() + forced.len(), usize::from(area.height - 1));
    let room = if all > room { room.saturating_sub(1) } else { room };
    let first = troubles.len().min((room / 2).max(room.saturating_sub(forced.len())));
    let mut lines: Vec<(String, Tone)> = troubles.take(first).chain(forced.take(room - first)).collect();
    match all - lines.len() {
        _ if all == 0 => lines.push(("no node complains, and nothing is forced".to_owned(), Tone::Dim)),
        0 => {}
        hidden => lines.push((format!("and {hidden} more: see the panes nodes and overrides"), Tone::Dim)),
    }
    for ((text, tone), y) in lines.iter().zip(area.y + 1..area.bottom()) {
        put(buffer, area.x + 1, y, area.width.saturating_sub(2), &clean(text), theme.tone(*tone));
    }
}
