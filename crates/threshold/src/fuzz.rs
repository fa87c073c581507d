//! The decoders of this room as one plain function, for the fuzz tests: any bytes go in, and a broken promise panics.
//!
//! The promises: no decoder panics by itself, and what reads is written again to the same bytes. CI feeds it a corpus and
//! mutations (`tests/fuzz_wire.rs`); `cargo fuzz` calls the same one for longer.

use crate::dkg::{Broadcast, Evidence, Mark, Plan};
use crate::pair::PairState;
use crate::shares::{VaultPublic, VaultShare};
use crate::sign::Head;
use crate::{dkg, pair, sign};
use model::access::AccessTree;
use model::wire::Wire;

/// Every value of ceremonies, pairs and signing, also the bodies that only this room reads.
pub fn fuzz_wire(data: &[u8]) {
    one_spelling::<AccessTree>(data);
    one_spelling::<Plan>(data);
    one_spelling::<Mark>(data);
    one_spelling::<Broadcast>(data);
    one_spelling::<Evidence>(data);
    one_spelling::<VaultPublic>(data);
    one_spelling::<Head>(data);
    if let Ok(share) = VaultShare::from_bytes(data) {
        assert_eq!(share.to_bytes().expose(), data, "a second spelling of a share");
    }
    if let Ok(state) = PairState::from_bytes(data) {
        assert_eq!(state.to_bytes().expose(), data, "a second spelling of a pair state");
    }
    drop(sign::shown(data));
    dkg::fuzz_message(data);
    pair::fuzz_setup(data);
    sign::fuzz_bodies(data);
}

fn one_spelling<T: Wire>(data: &[u8]) {
    if let Ok(value) = T::from_bytes(data) {
        assert_eq!(value.to_bytes(), data, "a second spelling");
    }
}
