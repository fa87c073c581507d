//! Coverage-guided form of the charter's readers: a text that is taken reads back from its canonical text, and bytes that
//! read write the same bytes again.
#![no_main]

use governance::charter;
use model::charter::{Charter, SignedCharter};
use model::wire::Wire;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(value) = Charter::from_bytes(data) {
        assert_eq!(value.to_bytes(), data);
        let holds = !charter::check(&value).iter().any(charter::Fault::refuses);
        assert_eq!(charter::parse(&charter::to_toml(&value)).is_ok(), holds);
    }
    if let Ok(value) = SignedCharter::from_bytes(data) {
        assert_eq!(value.to_bytes(), data);
    }
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(value) = charter::parse(text)
    {
        assert_eq!(charter::parse(&charter::to_toml(&value)), Ok(value));
    }
});
