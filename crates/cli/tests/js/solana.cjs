// litesvm runs what the vault signs: transfers of lamports and of tokens, and refuses a forged one.
const { FailedTransactionMetadata, LiteSVM } = require("litesvm");
const { address, getTransactionDecoder, lamports } = require("@solana/kit");

const [requests, token, payer, recipient, stranger] = process.argv.slice(2);
const PATH = "m/44/501/0/0";
const decode = (bytes) => getTransactionDecoder().decode(bytes);

async function sign(ask, blockhash) {
  const answer = await fetch(requests, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({
      network: "solana:local", path: PATH, ask, fill: { chain: "solana", blockhash },
      wait_ms: 30000,
    }),
  });
  const request = await answer.json();
  if (!request.signed) throw new Error(JSON.stringify(request));
  return Buffer.from(request.signed.raw, "base64");
}

function send(svm, bytes) {
  const result = svm.sendTransaction(decode(bytes));
  return result instanceof FailedTransactionMetadata ? String(result.err()) : "accepted";
}

// The same bytes with one bit flipped, tried by a chain of its own that is in the same state.
function forge(snapshot, bytes, at) {
  const forged = Buffer.from(bytes);
  forged[at] ^= 1;
  try {
    return send(LiteSVM.fromBytes(snapshot), forged);
  } catch (error) {
    return `refused: ${error.message}`;
  }
}

async function main() {
  const svm = new LiteSVM();
  svm.airdrop(address(payer), lamports(5_000_000_000n));
  const ask = { kind: "send", to: recipient, amount: "1250000000" };
  const bytes = await sign(ask, svm.latestBlockhash());
  const snapshot = svm.toBytes();
  const last = bytes.length - 1;
  const result = {
    // A bit of the amount, of the signature, and of the recipient (third account of the message).
    forged: [forge(snapshot, bytes, last), forge(snapshot, bytes, 10)],
    untouched: send(LiteSVM.fromBytes(snapshot), bytes),
    transfer: send(svm, bytes),
    received: String(svm.getBalance(address(recipient))),
    left: String(svm.getBalance(address(payer))),
    again: send(svm, bytes),
  };
  svm.expireBlockhash();
  const second = { kind: "send", to: stranger, amount: "1000000000" };
  result.second = send(svm, await sign(second, svm.latestBlockhash()));
  const stale = await sign({ ...second, amount: "1" }, "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi");
  result.stale = send(svm, stale);
  console.log(JSON.stringify(result));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
