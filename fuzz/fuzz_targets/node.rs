//! Coverage-guided form of `node::fuzz`; the first byte chooses the decoder.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| node::fuzz::fuzz_any(data));
