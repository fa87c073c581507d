"""web3.py with a vault's account as an unlocked one: pay, sign a message."""

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
signature = web3.eth.sign(sender, text="hello from web3.py")
signer = Account.recover_message(encode_defunct(text="hello from web3.py"), signature=signature)
print(json.dumps({"transfer": Web3.to_hex(transfer), "signer": signer}))
