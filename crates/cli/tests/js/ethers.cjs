// ethers 6 with a vault's account as a JSON-RPC signer: pay, deploy, pay in tokens, sign a transaction without sending it,
// sign a message and typed data.
const { ethers } = require("ethers");

const [url, address, recipient, artefact] = process.argv.slice(2);

async function main() {
  const provider = new ethers.JsonRpcProvider(url);
  const signer = await provider.getSigner(address);
  const transfer = await signer.sendTransaction({ to: recipient, value: ethers.parseEther("0.5") });
  await transfer.wait();
  const { abi, bytecode } = JSON.parse(artefact);
  const token = await new ethers.ContractFactory(abi, bytecode, signer).deploy();
  await token.waitForDeployment();
  const paid = await token.transfer(recipient, 77n);
  await paid.wait();
  const whole = await signer.populateTransaction({ to: recipient, value: 3n });
  const raw = await signer.signTransaction(whole);
  const handed_over = await provider.broadcastTransaction(raw);
  await handed_over.wait();

  const message = "I agree to be tested. Ünïcode too.";
  const signed = await signer.signMessage(message);
  const domain = { name: "Test", version: "1", chainId: 31337, verifyingContract: recipient };
  const types = { Mail: [{ name: "to", type: "address" }, { name: "contents", type: "string" }] };
  const mail = { to: recipient, contents: "hello" };
  const typed = await signer.signTypedData(domain, types, mail);
  console.log(JSON.stringify({
    transfer: transfer.hash,
    deploy: token.deploymentTransaction().hash,
    contract: await token.getAddress(),
    token_transfer: paid.hash,
    handed_over: handed_over.hash,
    message_signer: ethers.verifyMessage(message, signed),
    typed_signer: ethers.verifyTypedData(domain, types, mail, typed),
  }));
  provider.destroy();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
