//! After the tour: the nodes stay up, and a person tries things.

use super::screen::Screen;
use super::{Tour, scenes};
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::signals;
use model::api::NewClient;
use model::ids::VaultId;
use model::intent::Network;
use std::time::Duration;

/// Says what to try, and waits for Ctrl-C; a node that ends by itself ends the demo.
pub(crate) fn stay(
    cluster: &Cluster,
    vault: VaultId,
    tour: &Tour,
    screen: &Screen,
) -> Result<(), CommandError> {
    let first = cluster.first()?;
    let new = NewClient { name: "demo".to_owned(), vaults: vec![vault] };
    let key = first.client.new_client(&new)?;
    let network = Network::Evm(scenes::CHAIN);
    let address = first.client.address(vault, network, "m/44/60/0/0/0")?.address;
    let node = first.dir.display();
    let url = format!("{}/rpc/{}", first.client.base(), key.token);
    let send = match &tour.evm_chain {
        Some(_) => {
            format!("cast send --unlocked --from {address} {} --value 0.1ether", scenes::SUPPLIER)
        }
        None => "(with a chain: `anvil`, then `outlast demo --evm-chain http://127.0.0.1:8545`, \
                 then `cast send --unlocked …`)"
            .to_owned(),
    };
    screen.say(&format!(
        "Still running. Try, in another terminal:\n\
         \n  outlast node status --node {node}\
         \n  outlast request list --node {node}\
         \n  outlast address show --network bitcoin:regtest --node {node}\n\
         \n  with Foundry's cast, which knows nothing of Outlast (the address holds a service key):\n\
         \n  export ETH_RPC_URL={url}\
         \n  cast rpc eth_accounts\
         \n  cast rpc personal_sign 0x68656c6c6f {address}\
         \n  {send}\n\
         \nStop with Ctrl-C; afterwards `outlast demo --clean` removes {dir}.",
        dir = tour.dir.display(),
    ));
    signals::may_stop();
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let ended = |pid| signals::ended(pid).is_some();
        if let Some(member) = cluster.members.iter().find(|member| ended(member.pid)) {
            let message = format!("the node of {} ended by itself", member.operator);
            let log = member.dir.join("node.log");
            return Err(CommandError::unavailable("node_ended", message)
                .hint(format!("its last words are in {}", log.display())));
        }
    }
}
