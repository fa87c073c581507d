//! Mutated texts and mutated canonical bytes: no panic; what is taken holds and reads back; what came as bytes is held to
//! the same rules as what came as text.
//!
//! The corpus is `vectors/charter/v1`. One second each by default; `OUTLAST_FUZZ_SECS` makes it longer. Every run has the
//! same rounds, and a broken promise prints its round.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use governance::charter::{self, Fault};
use model::charter::{Charter, SignedCharter};
use model::hash;
use model::wire::Wire;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// xorshift64*: repeatable from its seed, and no more is needed here.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or_default() % bound.max(1)
    }
}

fn texts(dirs: &[&str]) -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/charter/v1");
    let mut paths: Vec<PathBuf> = dirs
        .iter()
        .flat_map(|dir| std::fs::read_dir(root.join(dir)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

fn for_a_while(mut step: impl FnMut(u64, &mut Noise)) {
    let secs = std::env::var("OUTLAST_FUZZ_SECS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(secs.unwrap_or(1));
    let mut round = 1;
    while Instant::now() < until {
        step(round, &mut Noise(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        round += 1;
    }
}

/// Lines that go, come twice, change places, come from elsewhere, or lose a piece.
fn damage_text(noise: &mut Noise, good: &[String], corpus: &[String]) -> String {
    let text = &good[noise.below(good.len())];
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=noise.below(3) {
        let at = noise.below(lines.len());
        match noise.below(6) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[noise.below(lines.len())].clone()),
            2 => {
                let other = noise.below(lines.len());
                lines.swap(at, other);
            }
            3 => {
                let other = corpus[noise.below(corpus.len())].lines();
                let other: Vec<&str> = other.collect();
                lines[at] = other[noise.below(other.len())].to_owned();
            }
            4 => {
                let letters: Vec<char> = lines[at].chars().collect();
                let cut = noise.below(letters.len());
                let odd = ['"', '[', '}', '\\', '\u{202e}', '\0', '9', '-', 'é'];
                let odd = odd[noise.below(odd.len())];
                lines[at] = letters[..cut].iter().chain([&odd]).chain(&letters[cut..]).collect();
            }
            _ => {
                let kept = noise.below(lines[at].chars().count());
                lines[at] = lines[at].chars().take(kept).collect();
            }
        }
    }
    lines.join("\n")
}

fn damage_bytes(noise: &mut Noise, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[noise.below(corpus.len())].clone();
    for _ in 0..=noise.below(3) {
        let at = noise.below(bytes.len());
        match noise.below(8) {
            0..5 => bytes[at] ^= 1 << noise.below(8),
            5 => bytes.truncate(at),
            6 => bytes.insert(at, [0x00, 0x01, 0xff][noise.below(3)]),
            _ => {
                let other = &corpus[noise.below(corpus.len())];
                let end = (at + noise.below(40)).min(bytes.len()).min(other.len());
                let at = at.min(end);
                bytes[at..end].copy_from_slice(&other[at..end]);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

fn holds(charter: &Charter) -> bool {
    !charter::check(charter).iter().any(Fault::refuses)
}

/// Writes the corpus for `cargo fuzz` where `OUTLAST_FUZZ_CORPUS` names a directory (`fuzz/README.md`).
fn keep(corpus: &[Vec<u8>]) {
    let Some(dir) = std::env::var_os("OUTLAST_FUZZ_CORPUS") else { return };
    let dir = std::path::Path::new(&dir).join("charter");
    std::fs::create_dir_all(&dir).unwrap();
    for data in corpus {
        let hex = |text: String, byte: &u8| format!("{text}{byte:02x}");
        let name = hash::sha256(data).iter().fold(String::new(), hex);
        std::fs::write(dir.join(name), data).unwrap();
    }
}

#[test]
fn fuzz_texts_that_are_taken_hold_and_read_back() {
    let (good, corpus) = (texts(&["good"]), texts(&["good", "bad"]));
    keep(&corpus.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>());
    let mut taken = 0;
    for_a_while(|round, noise| {
        let text = damage_text(noise, &good, &corpus);
        let reading = charter::read(&text);
        assert!(reading.holds() || reading.faults.iter().any(Fault::refuses), "round {round}");
        let lines = text.lines().count() + 1;
        for fault in &reading.faults {
            let at = fault.at.unwrap_or_else(|| panic!("round {round}: {fault} has no place"));
            assert!(at.line >= 1 && at.line <= lines && at.column >= 1, "round {round}: {fault}");
            assert!(!fault.to_string().chars().any(char::is_control), "round {round}: {fault:?}");
        }
        if reading.holds() {
            taken += 1;
            let charter = reading.charter.unwrap();
            assert!(holds(&charter), "round {round}");
            assert_eq!(charter::parse(&charter::to_toml(&charter)), Ok(charter), "round {round}");
        }
    });
    assert!(taken > 0, "the damage is so heavy that nothing was tested");
}

#[test]
fn fuzz_bytes_have_one_spelling_and_the_rules_of_texts() {
    let good =
        texts(&["good"]).iter().filter_map(|text| charter::parse(text).ok()).collect::<Vec<_>>();
    let corpus: Vec<Vec<u8>> = good.iter().map(Wire::to_bytes).collect();
    keep(&corpus);
    let (mut held, mut refused) = (0, 0);
    for_a_while(|round, noise| {
        let bytes = damage_bytes(noise, &corpus);
        let _ = SignedCharter::from_bytes(&bytes);
        let Ok(charter) = Charter::from_bytes(&bytes) else { return };
        assert_eq!(charter.to_bytes(), bytes, "round {round}: a second spelling");
        let text = charter::to_toml(&charter);
        let _ = (charter::review(&charter), charter::diff(&charter, &good[0]));
        if holds(&charter) {
            held += 1;
            assert_eq!(charter::parse(&text), Ok(charter), "round {round}: {text}");
        } else {
            refused += 1;
            assert!(charter::parse(&text).is_err(), "round {round}: {text}");
        }
    });
    assert!(held > 0 && refused > 0, "{held} held, {refused} refused");
}
