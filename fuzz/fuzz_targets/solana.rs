//! Coverage-guided form of `chains::fuzz::fuzz_solana`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| chains::fuzz::fuzz_solana(data));
