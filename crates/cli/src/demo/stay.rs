//! After the tour: the nodes stay up, and a person tries things.

use super::screen::Screen;
use super::{Tour, scenes, whole};
use crate::cluster::Cluster;
use crate::error::CommandError;
use crate::settings::own_name;
use crate::signals;
use model::api::NewClient;
use model::ids::VaultId;
use model::intent::Network;
use std::time::Duration;

/// The vault's first account on Ethereum-type chains.
const ACCOUNT: &str = "m/44/60/0/0/0";

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
    let address = first.client.address(vault, network, ACCOUNT)?.address;
    let (program, node) = (own_name(), whole(&first.dir));
    let url = format!("{}/rpc/{}", first.client.base(), key.token);
    screen.say(&format!(
        "Still running. Try, in another terminal:\n\
         \n  {program} node status --node {node}\
         \n  {program} request list --node {node}\
         \n  {program} address show --network bitcoin:regtest --node {node}\n\
         \nWith Foundry's cast, which knows nothing of Outlast (the address holds a service key). The account is\
         \n{ACCOUNT}; the tour paid from another one, so this one's first transaction has nonce 0.\n\
         \n  export ETH_RPC_URL={url}\
         \n  cast rpc eth_accounts\
         \n  cast rpc personal_sign 0x68656c6c6f {address}\
         \n{}\n\
         \nStop with Ctrl-C. Afterwards this removes what was made:\n\
         \n  {}",
        spend(tour, &program, &address),
        tour.clean_command(),
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

/// How to spend: on a chain that runs, after the account got some of its money.
fn spend(tour: &Tour, program: &str, address: &str) -> String {
    let to = scenes::SUPPLIER;
    match &tour.evm_chain {
        Some(_) => format!(
            "\nA fresh chain has no money for this account; anvil gives it 10 ETH:\n\
             \n  cast rpc anvil_setBalance {address} 0x8ac7230489e80000\
             \n  cast send --unlocked --from {address} {to} --value 0.1ether"
        ),
        None => format!(
            "\nTo send, end this demo and start it over a chain: `anvil` in one terminal, and in another\n\
             \n  {program} demo --evm-chain http://127.0.0.1:8545 --dir another-demo"
        ),
    }
}
