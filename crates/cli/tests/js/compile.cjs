// Compiles the one contract of a file with solc-js, without any network. Prints {bytecode, abi}.
const fs = require("node:fs");
const solc = require("solc");

const content = fs.readFileSync(process.argv[2], "utf8");
const input = {
  language: "Solidity",
  sources: { "token.sol": { content } },
  settings: {
    // anvil follows mainnet; Paris needs no opcode newer than the chain may have.
    evmVersion: "paris",
    optimizer: { enabled: true },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const errors = (output.errors || []).filter((error) => error.severity === "error");
if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
const { abi, evm } = output.contracts["token.sol"].Token;
console.log(JSON.stringify({ bytecode: "0x" + evm.bytecode.object, abi }));
