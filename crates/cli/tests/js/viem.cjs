// viem 2 with a vault's address as a JSON-RPC account: pay, sign a transaction without sending it, sign a message and
// typed data.
const { createPublicClient, createWalletClient, http, parseEther, verifyMessage, verifyTypedData } =
  require("viem");
const { foundry } = require("viem/chains");

const [url, account, to] = process.argv.slice(2);

async function main() {
  const wallet = createWalletClient({ account, chain: foundry, transport: http(url) });
  const chain = createPublicClient({ chain: foundry, transport: http(url) });
  const transfer = await wallet.sendTransaction({ to, value: parseEther("0.25") });
  await chain.waitForTransactionReceipt({ hash: transfer, timeout: 60_000 });
  const whole = await wallet.prepareTransactionRequest({ to, value: 3n });
  const serializedTransaction = await wallet.signTransaction(whole);
  const handed_over = await chain.sendRawTransaction({ serializedTransaction });
  await chain.waitForTransactionReceipt({ hash: handed_over, timeout: 60_000 });
  const message = "hello from viem";
  const signature = await wallet.signMessage({ message });
  const typed = {
    domain: { name: "Test", version: "1", chainId: foundry.id, verifyingContract: to },
    types: { Order: [{ name: "taker", type: "address" }, { name: "amount", type: "uint256" }] },
    primaryType: "Order",
    message: { taker: to, amount: 5n },
  };
  const sealed = await wallet.signTypedData(typed);
  console.log(JSON.stringify({
    transfer,
    handed_over,
    message: await verifyMessage({ address: account, message, signature }),
    typed: await verifyTypedData({ address: account, signature: sealed, ...typed }),
  }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
