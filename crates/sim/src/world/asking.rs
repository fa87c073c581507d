//! Commands to simulated nodes, and their answers.

use super::World;
use engine::{Caller, Command, CommandId, Event, Problem, Reply};

impl World {
    /// Asks a node as its operator; the answer is found with [`World::reply`].
    pub fn ask(&mut self, node: usize, command: Command) -> CommandId {
        self.ask_as(node, Caller::Operator, command)
    }

    /// Asks a node as somebody; the answer is found with [`World::reply`].
    pub fn ask_as(&mut self, node: usize, caller: Caller, command: Command) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command = self.next_command.saturating_add(1);
        self.deliver(node, Event::Command { id, caller, command });
        id
    }

    /// The answer to a command, once.
    pub fn reply(&mut self, id: CommandId) -> Option<Result<Reply, Problem>> {
        self.replies.remove(&id)
    }

    /// Asks and lets time pass until the answer is there or `ms` have passed.
    pub fn ask_and_wait(
        &mut self,
        node: usize,
        command: Command,
        ms: u64,
    ) -> Option<Result<Reply, Problem>> {
        let id = self.ask(node, command);
        let until = self.now.saturating_add_ms(ms);
        loop {
            if let Some(reply) = self.reply(id) {
                return Some(reply);
            }
            if self.now > until || !self.step() {
                return None;
            }
        }
    }
}
