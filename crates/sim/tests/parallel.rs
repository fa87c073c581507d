//! Many sessions at once through the same pairs: every one ends, none waits for its time-out.

#![allow(clippy::panic, clippy::as_conversions, reason = "a test")]

use engine::{Command, Reply};
use sim::random::Seeded;
use sim::run::request_of_kind;
use sim::{Faults, fixture};

/// Goal: a last message that a gate holds back still leaves after this node has its own signature. Method: 60 ECDSA
/// sessions in flight on every pair, frames overtaking one another; all are signed long before a session's time-out.
#[test]
fn parallel_sessions_of_one_pair_all_end() {
    let ready = fixture::three_of_three();
    let run = move || {
        let _seeded = Seeded::new(11);
        let calm = Faults { delay_ms_max: 40, ..Faults::NONE };
        let mut world = ready.world(11, calm);
        world.pass(3_000);
        let ids: Vec<_> = (0..60u64)
            .map(|number| {
                let new = request_of_kind(2, number, 15_000);
                world.ask((number % 3) as usize, Command::Submit { vault: ready.vault, new })
            })
            .collect();
        world.pass(10_000);
        for id in ids {
            let reply = world.reply(id);
            let Some(Ok(Reply::Request(view))) = reply else { panic!("waits: {reply:?}") };
            assert_eq!(view.state, "signed", "{view:?}");
        }
        assert_eq!(world.watch().pairs_stopped, 0);
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}
