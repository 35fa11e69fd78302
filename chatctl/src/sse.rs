//! Reads server-sent events: only what the control plane sends, one JSON text in each event's `data`.

/// Longest line; a longer one is no event of ours.
const LINE_BYTES_MAX: usize = 256 * 1024;

/// Collects bytes into events.
#[derive(Debug, Default)]
pub(crate) struct SseReader {
    line: Vec<u8>,
    data: String,
}

impl SseReader {
    /// Takes in bytes and gives the data of the events they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, &'static str> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                if self.line.len() > LINE_BYTES_MAX {
                    return Err("an event is too long");
                }
                continue;
            }
            let line = String::from_utf8(std::mem::take(&mut self.line)).map_err(|_| "an event is not UTF-8")?;
            let line = line.strip_suffix('\r').unwrap_or(&line);
            if let Some(data) = line.strip_prefix("data:") {
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            } else if line.is_empty() && !self.data.is_empty() {
                events.push(std::mem::take(&mut self.data));
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_the_bytes_are_cut() {
        let text = ": keep-alive\n\nid: 1\nevent: draining\ndata: {\"a\":\"é\"}\r\n\r\ndata: 2\n\ndata: 3";
        for size in 1..text.len() {
            let mut reader = SseReader::default();
            let events: Vec<_> = text.as_bytes().chunks(size).flat_map(|bytes| reader.push(bytes).unwrap()).collect();
            assert_eq!(events, ["{\"a\":\"é\"}", "2"]);
        }
        assert!(SseReader::default().push(&vec![b'x'; LINE_BYTES_MAX + 1]).is_err());
    }
}
