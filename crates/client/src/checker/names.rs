//! Names as small numbers: a fact is then a few words of memory.

use std::sync::Arc;

use domain::{ConversationId, UserId};
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::{ClientId, ConversationNo, UserNo};

/// The users, clients and conversations of a history.
#[derive(Debug, Clone, Default)]
pub struct Names {
    users: Table,
    conversations: Table,
    clients: Table,
    user_of: Vec<UserNo>,
}

#[derive(Debug, Clone, Default)]
struct Table {
    names: Vec<Arc<str>>,
    numbers: FxHashMap<Arc<str>, u32>,
}

impl Table {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let (name, number): (Arc<str>, _) = (name.into(), self.names.len() as u32);
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("?", |name| name)
    }
}

impl Names {
    /// The user with this name.
    pub fn user(&mut self, name: &str) -> UserNo {
        UserNo(self.users.number(name))
    }

    /// The client of this user on this device.
    pub fn client(&mut self, user: &str, device: &str) -> ClientId {
        let (of, number) = (self.user(user), self.clients.number(&format!("{user}/{device}")));
        if number as usize == self.user_of.len() {
            self.user_of.push(of);
        }
        ClientId(number)
    }

    /// The conversation with this id.
    pub fn conversation(&mut self, id: &str) -> ConversationNo {
        ConversationNo(self.conversations.number(id))
    }

    /// Whose client it is.
    pub fn user_of(&self, client: ClientId) -> UserNo {
        self.user_of.get(client.0 as usize).copied().unwrap_or(UserNo(u32::MAX))
    }

    /// A user's name.
    pub fn user_name(&self, user: UserNo) -> &str {
        self.users.name(user.0)
    }

    /// `user/device`.
    pub fn client_name(&self, client: ClientId) -> &str {
        self.clients.name(client.0)
    }

    /// A conversation's id.
    pub fn conversation_name(&self, conversation: ConversationNo) -> &str {
        self.conversations.name(conversation.0)
    }

    /// The id that the protocol gives to a message; none if a name is not an id.
    pub fn message_id(&self, conversation: ConversationNo, sender: UserNo, key: Uuid) -> Option<Uuid> {
        let conversation = ConversationId::parse(self.conversation_name(conversation)).ok()?;
        let sender = UserId::parse(self.user_name(sender)).ok()?;
        Some(domain::message_id(&conversation, &sender, key))
    }
}
