//! Coverage-guided form of `threshold::fuzz::fuzz_wire`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| threshold::fuzz::fuzz_wire(data));
