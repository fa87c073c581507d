// litesvm runs what the vault signs: transfers of lamports and of tokens, durable ones too, and refuses a forged one.
const { FailedTransactionMetadata, LiteSVM } = require("litesvm");
const { address, getAddressEncoder, getBase58Decoder, getTransactionDecoder, lamports } =
  require("@solana/kit");
const token_program = require("@solana-program/token");

const [requests, token, payer, recipient, stranger] = process.argv.slice(2);
const PATH = "m/44/501/0/0";
const decode = (bytes) => getTransactionDecoder().decode(bytes);

async function post(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ ...body, wait_ms: 30000 }),
  });
  const request = await answer.json();
  if (!request.signed) throw new Error(JSON.stringify(request));
  return { id: request.id, bytes: Buffer.from(request.signed.raw, "base64") };
}

const request = (ask, blockhash, nonce_account) =>
  post(requests, {
    network: "solana:local", path: PATH, ask, fill: { chain: "solana", blockhash, nonce_account },
  });
const sign = async (...parts) => (await request(...parts)).bytes;
const cancel = async (id) => (await post(new URL(`/v1/requests/${id}/cancel`, requests), {})).bytes;

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

function put(svm, place, programAddress, data) {
  const space = BigInt(data.length);
  const account = { data, executable: false, lamports: lamports(5_000_000n), programAddress, space };
  svm.setAccount({ address: address(place), ...account });
}

// A mint, and token accounts of the payer and of a stranger.
function tokens(svm) {
  const mint = address("TokenMint1111111111111111111111111111111111");
  const source = address("TokenSource11111111111111111111111111111111");
  const destination = address("TokenDestination111111111111111111111111111");
  const program = token_program.TOKEN_PROGRAM_ADDRESS;
  put(svm, mint, program, token_program.getMintEncoder().encode({
    mintAuthority: null, supply: 1000n, decimals: 2, isInitialized: true, freezeAuthority: null,
  }));
  const account = (owner, amount) => token_program.getTokenEncoder().encode({
    mint, owner: address(owner), amount, delegate: null, state: 1, isNative: null,
    delegatedAmount: 0n, closeAuthority: null,
  });
  put(svm, source, program, account(payer, 1000n));
  put(svm, destination, program, account(stranger, 0n));
  const held = (place) =>
    String(token_program.getTokenDecoder().decode(svm.getAccount(place).data).amount);
  const ask = { kind: "send_token", token: mint, to: destination, source, decimals: 2 };
  return { ask, left: () => held(source), received: () => held(destination) };
}

// A durable nonce account of the payer; returns where it is and its present value.
function nonce(svm) {
  const place = "Nonce11111111111111111111111111111111111111";
  const data = new Uint8Array(80);
  // Version "current", state "initialized", authority, value, 5000 lamports per signature.
  data.set([1, 0, 0, 0, 1, 0, 0, 0]);
  data.set(getAddressEncoder().encode(address(payer)), 8);
  data.set(new Uint8Array(32).fill(9), 40);
  data.set([0x88, 0x13], 72);
  put(svm, place, "11111111111111111111111111111111", data);
  const value = () => {
    const now = svm.getAccount(address(place)).data.slice(40, 72);
    return getBase58Decoder().decode(now);
  };
  return { place, value };
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

  const held = tokens(svm);
  result.token = send(svm, await sign({ ...held.ask, amount: "250" }, svm.latestBlockhash()));
  result.token_left = held.left();
  result.token_received = held.received();
  // The chain checks the decimals that the vault signed.
  const wrong = { ...held.ask, amount: "1", decimals: 3 };
  result.wrong_decimals = send(svm, await sign(wrong, svm.latestBlockhash()));

  const durable = nonce(svm);
  const first = durable.value();
  const late = await sign({ ...ask, amount: "1000000" }, first, durable.place);
  // Long after it was signed: the blockhash of that time is gone.
  for (let round = 0; round < 200; round++) svm.expireBlockhash();
  result.durable = send(svm, late);
  result.durable_again = send(svm, late);
  result.nonce_advanced = first !== durable.value();

  // A payment over the next nonce value is cancelled: the advance runs, and the payment is void for ever.
  const payment = await request({ ...ask, amount: "2000000" }, durable.value(), durable.place);
  const before = String(svm.getBalance(address(recipient)));
  const second_value = durable.value();
  const instead = await cancel(payment.id);
  const uncancelled = LiteSVM.fromBytes(svm.toBytes());
  result.cancel = send(svm, instead);
  result.cancelled = send(svm, payment.bytes);
  result.cancel_advanced = second_value !== durable.value();
  result.cancel_moved_nothing = before === String(svm.getBalance(address(recipient)));
  // The other way round: the payment first, and the cancel comes too late.
  result.in_time = send(uncancelled, payment.bytes);
  result.too_late = send(uncancelled, instead);
  console.log(JSON.stringify(result));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
