//! Which replica leads: one row, taken when it is free, one's own or expired. The rule is here, once; each store only
//! sees to it that nobody else reads or writes the row in between.

/// How a replica stands after it asked to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// It leads, until its time is over or it asks again.
    pub is_leader: bool,
    /// The name of the replica that leads.
    pub holder: String,
    /// Grows whenever another replica begins to lead.
    pub epoch: u64,
    /// Where the replica that leads serves its API.
    pub address: String,
}

/// The row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LeaderRow {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) epoch: u64,
    pub(super) until_ms: u64,
}

impl LeaderRow {
    /// Takes the row for a holder if it may have it. A holder is a name and, after a space, an address.
    pub(super) fn lead(&mut self, holder: &str, now_ms: u64, ttl_ms: u64) -> Leadership {
        let (name, address) = holder.split_once(' ').unwrap_or((holder, ""));
        let is_leader = self.name == name || self.until_ms <= now_ms;
        if is_leader {
            if self.name != name {
                self.epoch += 1;
            }
            name.clone_into(&mut self.name);
            address.clone_into(&mut self.address);
            self.until_ms = now_ms.saturating_add(ttl_ms);
        }
        Leadership { is_leader, holder: self.name.clone(), epoch: self.epoch, address: self.address.clone() }
    }

    /// Gives the row up; false when it was not the holder's.
    pub(super) fn resign(&mut self, holder: &str) -> bool {
        let name = holder.split_once(' ').map_or(holder, |(name, _)| name);
        let is_ours = self.name == name;
        if is_ours {
            self.until_ms = 0;
        }
        is_ours
    }
}
