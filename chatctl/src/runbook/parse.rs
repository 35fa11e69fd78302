//! The text of a runbook: YAML front matter, Markdown, fenced `chatctl` blocks.

use std::collections::BTreeMap;

use protocol::admin::Role;
use serde::Deserialize;

use crate::duration::parse_duration;

/// A step's time when its block names none.
const TIMEOUT_MS_DEFAULT: u64 = 60_000;

/// A runbook.
#[derive(Debug, Clone)]
pub(crate) struct Runbook {
    /// Its name.
    pub(crate) id: String,
    /// What it is for, in a line.
    pub(crate) title: String,
    /// The failure mode whose incidents name it.
    pub(crate) fires_on: Option<String>,
    /// What must be filled in.
    pub(crate) params: BTreeMap<String, Param>,
    /// Who may run it.
    pub(crate) role: Role,
    /// Most nodes that its actions may name.
    pub(crate) max_affected: usize,
    /// Its blocks, in order.
    pub(crate) blocks: Vec<Block>,
    /// The Markdown below the front matter.
    pub(crate) text: String,
}

/// A parameter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Param {
    /// What it is.
    pub(crate) about: String,
    /// Its value when none is given.
    #[serde(default)]
    pub(crate) default: Option<String>,
}

/// What a block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// It only looks.
    Check,
    /// It changes something.
    Action,
    /// It undoes an action.
    Undo,
}

/// A fenced block.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// What it is for.
    pub(crate) kind: BlockKind,
    /// Its name.
    pub(crate) id: String,
    /// The heading above it.
    pub(crate) title: String,
    /// Its commands.
    pub(crate) commands: Vec<String>,
    /// It must be done within this, ms.
    pub(crate) timeout_ms: u64,
    /// The undo block that undoes it.
    pub(crate) undo: Option<String>,
    /// The word to type before it.
    pub(crate) confirm: Option<String>,
    /// Where it begins.
    pub(crate) line: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FrontMatter {
    id: String,
    title: String,
    #[serde(default)]
    fires_on: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, Param>,
    role: String,
    max_affected: usize,
}

/// Reads a runbook, or says where it is wrong.
pub(crate) fn parse(text: &str) -> Result<Runbook, String> {
    let rest = text.strip_prefix("---\n").ok_or("line 1: it must begin with front matter between two lines ---")?;
    let (front, body) = rest.split_once("\n---\n").ok_or("the front matter does not end: a line --- is missing")?;
    let front: FrontMatter = serde_saphyr::from_str(front).map_err(|error| format!("front matter: {error}"))?;
    let role =
        Role::parse(&front.role).ok_or_else(|| format!("role: {:?} is none of viewer, operator, admin", front.role))?;
    let first_line = front_lines(text, body);
    Ok(Runbook {
        id: front.id,
        title: front.title,
        fires_on: front.fires_on,
        params: front.params,
        role,
        max_affected: front.max_affected,
        blocks: blocks(body, first_line)?,
        text: body.trim_start().to_owned(),
    })
}

fn front_lines(text: &str, body: &str) -> usize {
    text[..text.len() - body.len()].lines().count()
}

fn blocks(body: &str, first_line: usize) -> Result<Vec<Block>, String> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut title = String::new();
    let mut open: Option<Block> = None;
    let mut is_other_fence = false;
    for (n, line) in body.lines().enumerate() {
        let line_number = first_line + n + 1;
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                let command = line.trim();
                if !command.is_empty() && !command.starts_with('#') {
                    block.commands.push(command.to_owned());
                }
            }
            (None, Some(info)) if !is_other_fence && info.starts_with("chatctl") => {
                let block = header(info, &title, line_number)?;
                if blocks.iter().any(|other| other.id == block.id) {
                    return Err(format!("line {line_number}: two blocks are named {:?}", block.id));
                }
                open = Some(block);
            }
            (None, Some(_)) => is_other_fence = !is_other_fence,
            (None, None) if line.starts_with('#') => title = line.trim_start_matches('#').trim().to_owned(),
            (None, None) => {}
        }
    }
    match open {
        Some(block) => Err(format!("line {}: the block does not end", block.line)),
        None => Ok(blocks),
    }
}

/// The line that opens a block: `chatctl kind=action id=drain timeout=2m undo=undrain confirm=${gateway}`.
fn header(info: &str, title: &str, line: usize) -> Result<Block, String> {
    let wrong = |why: String| format!("line {line}: {why}");
    let mut block = Block {
        kind: BlockKind::Check,
        id: String::new(),
        title: title.to_owned(),
        commands: Vec::new(),
        timeout_ms: TIMEOUT_MS_DEFAULT,
        undo: None,
        confirm: None,
        line,
    };
    let mut kind = None;
    for word in info.split_whitespace().skip(1) {
        let (key, value) = word.split_once('=').ok_or_else(|| wrong(format!("{word:?} is no key=value")))?;
        match key {
            "kind" => {
                kind = Some(match value {
                    "check" => BlockKind::Check,
                    "action" => BlockKind::Action,
                    "undo" => BlockKind::Undo,
                    _ => return Err(wrong(format!("kind: {value:?} is none of check, action, undo"))),
                });
            }
            "id" => block.id = value.to_owned(),
            "timeout" => block.timeout_ms = parse_duration(value).map_err(&wrong)?.as_millis() as u64,
            "undo" => block.undo = Some(value.to_owned()),
            "confirm" => block.confirm = Some(value.to_owned()),
            _ => return Err(wrong(format!("{key:?} is none of kind, id, timeout, undo, confirm"))),
        }
    }
    block.kind = kind.ok_or_else(|| wrong("kind= is missing".to_owned()))?;
    if block.id.is_empty() {
        return Err(wrong("id= is missing".to_owned()));
    }
    if block.kind != BlockKind::Action && (block.undo.is_some() || block.confirm.is_some()) {
        return Err(wrong("undo= and confirm= belong to actions".to_owned()));
    }
    Ok(block)
}
