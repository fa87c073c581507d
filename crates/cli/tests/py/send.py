"""web3.py with a vault's account as an unlocked one: pay, sign a transaction without sending it, sign a message."""

import json
import sys

from eth_account import Account
from eth_account.messages import encode_defunct
from web3 import Web3

url, account, recipient = sys.argv[1:4]
web3 = Web3(Web3.HTTPProvider(url, request_kwargs={"timeout": 60}))
sender = Web3.to_checksum_address(account)
transfer = web3.eth.send_transaction(
    {"from": sender, "to": Web3.to_checksum_address(recipient), "value": 10**17}
)
receipt = web3.eth.wait_for_transaction_receipt(transfer, timeout=60)
assert receipt["status"] == 1, receipt

# web3.py reads geth's shape of the answer: {raw, tx}.
geth = Web3(Web3.HTTPProvider(url + "/geth", request_kwargs={"timeout": 60}))
whole = {
    "from": sender,
    "to": Web3.to_checksum_address(recipient),
    "value": 3,
    "nonce": web3.eth.get_transaction_count(sender),
    "gas": 21000,
    "maxFeePerGas": 5 * 10**9,
    "maxPriorityFeePerGas": 10**9,
    "chainId": web3.eth.chain_id,
}
signed = geth.eth.sign_transaction(whole)
assert signed["tx"]["nonce"] == whole["nonce"], signed
handed_over = web3.eth.send_raw_transaction(signed["raw"])
assert handed_over == signed["tx"]["hash"], signed

signature = web3.eth.sign(sender, text="hello from web3.py")
signer = Account.recover_message(encode_defunct(text="hello from web3.py"), signature=signature)
hashes = {"transfer": Web3.to_hex(transfer), "handed_over": Web3.to_hex(handed_over)}
print(json.dumps({**hashes, "signer": signer}))
