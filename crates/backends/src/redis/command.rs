//! Commands, and scripts that a server may have forgotten.

use std::sync::LazyLock;

use redis::{Arg, Cmd, ToRedisArgs};

/// Slots of a cluster.
pub(super) const SLOTS: usize = 16_384;

/// A script: sent by its hash, and with its text to a server that does not know it.
pub(super) struct Lua {
    pub(super) text: &'static str,
    pub(super) hash: LazyLock<String>,
}

/// A script in a file.
macro_rules! lua {
    ($file:literal) => {
        $crate::redis::command::Lua {
            text: include_str!($file),
            hash: std::sync::LazyLock::new(|| ::redis::Script::new(include_str!($file)).get_hash().to_owned()),
        }
    };
}
pub(super) use lua;

/// One command of a call.
pub(super) struct Command {
    pub(super) cmd: Cmd,
    pub(super) script: Option<&'static Lua>,
    key: Key,
}

/// What decides which server of a cluster gets a command.
enum Key {
    Argument(usize),
    Slot(usize),
}

impl Command {
    /// `name key`, for more arguments.
    pub(super) fn new(name: &'static str, key: impl ToRedisArgs) -> Self {
        // Room for most commands without growing.
        let mut cmd = Cmd::with_capacity(8, 128);
        cmd.arg(name).arg(key);
        Self { cmd, script: None, key: Key::Argument(1) }
    }

    /// A command without a key, for the server that has this key.
    pub(super) fn keyless(name: &'static str, beside: &str) -> Self {
        let mut cmd = Cmd::with_capacity(1, 16);
        cmd.arg(name);
        Self { cmd, script: None, key: Key::Slot(slot(beside.as_bytes())) }
    }

    /// A script with its keys, for more arguments.
    pub(super) fn script(script: &'static Lua, keys: &[&str]) -> Self {
        let mut cmd = Cmd::with_capacity(12, 320);
        cmd.arg("EVALSHA").arg(&*script.hash).arg(keys.len()).arg(keys);
        Self { cmd, script: Some(script), key: Key::Argument(3) }
    }

    pub(super) fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.cmd.arg(arg);
        self
    }

    pub(super) fn slot(&self) -> usize {
        match self.key {
            Key::Slot(slot) => slot,
            Key::Argument(at) => match self.cmd.args_iter().nth(at) {
                Some(Arg::Simple(key)) => slot(key),
                _ => 0,
            },
        }
    }
}

/// The slot of a key: CRC16 (XMODEM) of what is between its braces, or of all of it.
fn slot(key: &[u8]) -> usize {
    let tagged = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let tag = &key[open + 1..];
        let close = tag.iter().position(|byte| *byte == b'}')?;
        (close > 0).then_some(&tag[..close])
    });
    let crc = tagged.unwrap_or(key).iter().fold(0u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    });
    usize::from(crc) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // As `CLUSTER KEYSLOT` says.
        assert_eq!(slot(b"123456789"), 0x31C3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"fleet:r:{foo}:phone"), 12_182);
        assert_eq!(slot(b"{foo}{bar}"), 12_182);
        assert_eq!(slot(b"a{}foo"), slot(b"a{}foo"));
        assert_ne!(slot(b"a{}foo"), slot(b"{}foo"));
        let command = Command::script(&LUA, &["x:{foo}:y", "x:{foo}"]).arg(1);
        assert_eq!(command.slot(), 12_182);
        assert_eq!(Command::keyless("TIME", "foo").slot(), 12_182);
    }

    static LUA: Lua = lua!("scripts/version.lua");
}
