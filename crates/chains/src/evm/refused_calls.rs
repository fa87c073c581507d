//! Calls that are refused by name, so that the refusal says what the bytes would have done.

use crate::Refusal;

const MOVES_OTHERS: &str = "it moves tokens out of somebody's balance under an earlier approval";
const ALL_TOKENS: &str = "it hands over every token of a kind, also later ones";
const BUNDLE: &str = "it carries further calls that this build does not decode";
const FOREIGN_CODE: &str = "it runs code or calls chosen inside opaque bytes";
const OWNERSHIP: &str = "it hands a contract to somebody else or changes its code";
const RELATIVE: &str = "the allowance that results is not in the bytes";
const HOOK: &str = "it calls code of the recipient with bytes that this build does not decode";
const PERMIT: &str = "it submits an approval that somebody signed elsewhere";

type Entry = ([u8; 4], &'static str, &'static str);

/// Selector, signature, harm. The test below recomputes every selector.
const REFUSED: [Entry; 36] = [
    ([0x23, 0xb8, 0x72, 0xdd], "transferFrom(address,address,uint256)", MOVES_OTHERS),
    ([0x42, 0x84, 0x2e, 0x0e], "safeTransferFrom(address,address,uint256)", MOVES_OTHERS),
    ([0xb8, 0x8d, 0x4f, 0xde], "safeTransferFrom(address,address,uint256,bytes)", MOVES_OTHERS),
    (
        [0xf2, 0x42, 0x43, 0x2a],
        "safeTransferFrom(address,address,uint256,uint256,bytes)",
        MOVES_OTHERS,
    ),
    (
        [0x2e, 0xb2, 0xc2, 0xd6],
        "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)",
        MOVES_OTHERS,
    ),
    ([0xa2, 0x2c, 0xb4, 0x65], "setApprovalForAll(address,bool)", ALL_TOKENS),
    ([0x95, 0x9b, 0x8c, 0x3f], "authorizeOperator(address)", ALL_TOKENS),
    ([0x39, 0x50, 0x93, 0x51], "increaseAllowance(address,uint256)", RELATIVE),
    ([0xa4, 0x57, 0xc2, 0xd7], "decreaseAllowance(address,uint256)", RELATIVE),
    ([0xd7, 0x3d, 0xd6, 0x23], "increaseApproval(address,uint256)", RELATIVE),
    (
        [0xd5, 0x05, 0xac, 0xcf],
        "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
        PERMIT,
    ),
    (
        [0x8f, 0xcb, 0xaf, 0x0c],
        "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)",
        PERMIT,
    ),
    (
        [0x2b, 0x67, 0xb5, 0x70],
        "permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)",
        PERMIT,
    ),
    ([0x87, 0x51, 0x7c, 0x45], "approve(address,address,uint160,uint48)", ALL_TOKENS),
    ([0xca, 0xe9, 0xca, 0x51], "approveAndCall(address,uint256,bytes)", HOOK),
    ([0x31, 0x77, 0x02, 0x9f], "approveAndCall(address,uint256)", HOOK),
    ([0x40, 0x00, 0xae, 0xa0], "transferAndCall(address,uint256,bytes)", HOOK),
    ([0x12, 0x96, 0xee, 0x62], "transferAndCall(address,uint256)", HOOK),
    ([0x9b, 0xd9, 0xbb, 0xc6], "send(address,uint256,bytes)", HOOK),
    ([0xac, 0x96, 0x50, 0xd8], "multicall(bytes[])", BUNDLE),
    ([0x5a, 0xe4, 0x01, 0xdc], "multicall(uint256,bytes[])", BUNDLE),
    ([0x1f, 0x04, 0x64, 0xd1], "multicall(bytes32,bytes[])", BUNDLE),
    ([0x25, 0x2d, 0xba, 0x42], "aggregate((address,bytes)[])", BUNDLE),
    ([0x82, 0xad, 0x56, 0xcb], "aggregate3((address,bool,bytes)[])", BUNDLE),
    ([0x8d, 0x80, 0xff, 0x0a], "multiSend(bytes)", BUNDLE),
    ([0x35, 0x93, 0x56, 0x4c], "execute(bytes,bytes[],uint256)", BUNDLE),
    ([0x24, 0x85, 0x6b, 0xc3], "execute(bytes,bytes[])", BUNDLE),
    ([0xb6, 0x1d, 0x27, 0xf6], "execute(address,uint256,bytes)", FOREIGN_CODE),
    ([0x44, 0xc0, 0x28, 0xfe], "execute(uint256,address,uint256,bytes)", FOREIGN_CODE),
    (
        [0x6a, 0x76, 0x12, 0x02],
        "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,\
         bytes)",
        FOREIGN_CODE,
    ),
    (
        [0x46, 0x87, 0x21, 0xa7],
        "execTransactionFromModule(address,uint256,bytes,uint8)",
        FOREIGN_CODE,
    ),
    ([0xe9, 0xae, 0x5c, 0x53], "execute(bytes32,bytes)", FOREIGN_CODE),
    ([0xf2, 0xfd, 0xe3, 0x8b], "transferOwnership(address)", OWNERSHIP),
    ([0x36, 0x59, 0xcf, 0xe6], "upgradeTo(address)", OWNERSHIP),
    ([0x4f, 0x1e, 0xf2, 0x86], "upgradeToAndCall(address,bytes)", OWNERSHIP),
    ([0x2f, 0x2f, 0xf1, 0x5d], "grantRole(bytes32,address)", OWNERSHIP),
];

/// The refusal of a call that has a name.
pub fn named(selector: [u8; 4]) -> Option<Refusal> {
    let found = REFUSED.iter().find(|(known, _, _)| *known == selector);
    found.map(|(_, what, why)| Refusal::Forbidden { what, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_selector_is_the_hash_of_its_signature() {
        for (selector, signature, _) in REFUSED {
            let hash = alloy_primitives::keccak256(signature.as_bytes());
            assert_eq!(hex::encode(selector), hex::encode(&hash[..4]), "{signature}");
        }
    }
}
