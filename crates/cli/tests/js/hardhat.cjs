// Run by `hardhat run --network vault`: hardhat's own provider, accounts: "remote".
const { network } = require("hardhat");

async function main() {
  const [from] = await network.provider.request({ method: "eth_accounts" });
  const transaction = { from, to: process.env.RECIPIENT, value: "0x2386f26fc10000" };
  const params = [transaction];
  const transfer = await network.provider.request({ method: "eth_sendTransaction", params });
  console.log(JSON.stringify({ from, transfer }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
