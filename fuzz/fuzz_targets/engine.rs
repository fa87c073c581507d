//! Coverage-guided form of the engine's decoders: what reads writes the same bytes again.
#![no_main]

use model::wire::Wire;

fn same<T: Wire>(data: &[u8]) {
    if let Ok(value) = T::from_bytes(data) {
        assert_eq!(value.to_bytes(), data);
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    same::<engine::Message>(data);
    same::<engine::Record>(data);
    same::<engine::record::CeremonyRecord>(data);
    same::<engine::Hello>(data);
    same::<engine::Proposal>(data);
    same::<engine::CeremonyPlan>(data);
    same::<model::request::Request>(data);
});
