//! The overview's picture: one column on a narrow terminal, two on a wide one.

use protocol::admin::{Overview, Point};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    heat, lights, put,
    sparkline::{self, Curve},
    title,
};
use crate::{
    output::{Tone, format_span, thousands},
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
/// The lines of figures at the top.
const FIGURES: u16 = LIGHTS_AT - 1;
/// Curves.
const CURVES: u16 = 4;
/// Higher than this a curve says no more.
const CURVE_MAX: u16 = 6;

pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) {
    let Some(overview) = &state.store.overview.value else { return };
    figures(buffer, area, overview, theme);
    let below = cut(area, FIGURES, area.height.saturating_sub(FIGURES));
    if area.width >= WIDE_FROM {
        let left = (area.width * 11 / 20).min(100);
        let (left, right) =
            (Rect { width: left, ..below }, Rect { x: below.x + left + 1, width: below.width - left - 1, ..below });
        lights::draw(buffer, cut(left, 0, LIGHTS), state, theme);
        heat::draw(buffer, cut(left, LIGHTS + 1, left.height), state, theme);
        let curve = (right.height.saturating_sub(8) / CURVES).clamp(1, CURVE_MAX);
        curves(buffer, cut(right, 0, 1 + CURVES * curve), overview, curve, theme);
        notes(buffer, cut(right, 2 + CURVES * curve, right.height), overview, theme);
        return;
    }
    // On 24 lines each part has its least; more lines go to the curves, the tiles and the notes.
    let more = below.height.saturating_sub(LIGHTS + 1 + CURVES + 3 + 4);
    let curve = (1 + more / 10).min(CURVE_MAX);
    let tiles = 2 + more / 6;
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
    let lag = match area.width >= WIDE_FROM {
        true => format!("{} records, oldest {oldest}", thousands(now.lag_records)),
        false => format!("{} ({oldest})", thousands(now.lag_records)),
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

/// What is forced, and what nodes complain of. When not all has room, each has a part of it.
fn notes(buffer: &mut Buffer, area: Rect, overview: &Overview, theme: Theme) {
    if area.height == 0 {
        return;
    }
    title(buffer, Rect { height: 1, ..area }, "forced for a while, and troubles", theme);
    let mut forced = overview.overrides.iter().map(|it| {
        let left = format_span(it.left_ms);
        let tone = if it.lever.is_fault() { Tone::Bad } else { Tone::Busy };
        (format!("{left} left: {} on {} ({}: {})", it.lever, it.scope, it.who, it.reason), tone)
    });
    let mut troubles = overview.troubles.iter().map(|it| (format!("trouble: {it}"), Tone::Bad));
    let mut lines = Vec::new();
    loop {
        let pair = (forced.next(), troubles.next());
        if pair == (None, None) {
            break;
        }
        lines.extend(pair.0);
        lines.extend(pair.1);
    }
    let room = usize::from(area.height - 1);
    if lines.is_empty() {
        lines.push(("nothing is forced, and no node complains".to_owned(), Tone::Dim));
    } else if lines.len() > room && room > 0 {
        let hidden = lines.len() - (room - 1);
        lines.truncate(room - 1);
        lines.push((format!("and {hidden} more: see overrides and nodes"), Tone::Dim));
    }
    for ((text, tone), y) in lines.iter().zip(area.y + 1..area.bottom()) {
        put(buffer, area.x + 1, y, area.width.saturating_sub(2), &clean(text), theme.tone(*tone));
    }
}
