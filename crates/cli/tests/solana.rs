//! litesvm, a Solana runtime without a network, accepts what the three nodes signed and refuses what was changed after.

#[cfg(test)]
mod support;

#[cfg(test)]
mod tests {
    use super::support::cluster::Cluster;
    use super::support::tools::{javascript, tool};
    use serde_json::json;

    const RECIPIENT: &str = "US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx";
    const STRANGER: &str = "8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR";
    const FEE: u64 = 5_000;

    #[test]
    fn litesvm_moves_the_lamports_and_tokens_of_a_vault_and_refuses_a_forged_transaction() {
        if tool("npm", "OUTLAST_NODE_MODULES").is_none() {
            return;
        }
        let cluster = Cluster::start([&[], &[], &[]]);
        let vault = cluster.vault("solana");
        let node = &cluster.nodes[1];
        let payer = node.address(&vault, "solana:local", "m/44/501/0/0");
        let requests = node.url(&format!("/v1/vaults/{vault}/requests"));
        let token = node.client_token(&vault);
        let args = [requests.as_str(), &token, &payer, RECIPIENT, STRANGER];
        let Some(said) = javascript("solana.cjs", &args) else { return };
        for key in ["transfer", "untouched", "second", "token", "durable", "cancel", "in_time"] {
            assert_eq!(said[key], "accepted", "{key}: {said}");
        }
        assert_eq!(said["received"], "1250000000");
        let left = 5_000_000_000 - 1_250_000_000 - FEE;
        assert_eq!(said["left"], left.to_string());
        for forged in said["forged"].as_array().unwrap() {
            assert_ne!(forged, "accepted", "{said}");
        }
        assert_eq!((&said["token_left"], &said["token_received"]), (&json!("750"), &json!("250")));
        for key in ["nonce_advanced", "cancel_advanced", "cancel_moved_nothing"] {
            assert_eq!(said[key], true, "{key}: {said}");
        }
        let refused =
            ["again", "stale", "wrong_decimals", "durable_again", "cancelled", "too_late"];
        for key in refused {
            assert_ne!(said[key], "accepted", "{key}: {said}");
        }
    }
}
