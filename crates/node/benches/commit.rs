//! What a node adds to a protocol: a durable commit against the bare fsync under it, sealed secrets, frames of a link, and
//! the opening of a passphrase seal at its standard cost.

#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::ids::NodeId;
use model::secret::Secret;
use node::seal::{Bounds, PassphraseCost, SealWith, Wrapped};
use node::store::{Batch, SqliteStore, Store, StoreOptions};
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;

const NODE: NodeId = NodeId([1; 32]);

fn open(dir: &Path) -> SqliteStore {
    let key = Secret::new([9; 32]);
    SqliteStore::open(&dir.join("state.sqlite"), NODE, key, StoreOptions::default())
        .expect("a store")
}

/// The floor: 4 KiB and one fsync, as the log of a database grows.
fn raw_fsync(c: &mut Criterion, dir: &Path) {
    let mut file = File::create(dir.join("raw")).expect("a file");
    c.bench_function("commit/raw-4KiB-fsync", |b| {
        b.iter(|| {
            file.write_all(&[0x5a; 4096]).expect("a write");
            file.sync_data().expect("an fsync");
        });
    });
}

fn commits(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    raw_fsync(c, dir.path());
    let mut store = open(dir.path());
    c.bench_function("commit/one-entry", |b| {
        b.iter(|| {
            let entries = vec![(store.next_sequence(), vec![0x11; 300])];
            store.commit(&Batch { entries, ..Batch::default() }).expect("a commit");
        });
    });
    c.bench_function("commit/one-entry-and-a-sealed-secret-of-4KiB", |b| {
        b.iter(|| {
            let entries = vec![(store.next_sequence(), vec![0x11; 300])];
            let puts = vec![("share/a".to_owned(), Secret::new(vec![0x22; 4096]))];
            store.commit(&Batch { entries, puts, ..Batch::default() }).expect("a commit");
        });
    });
    c.bench_function("commit/256-entries-at-once", |b| {
        b.iter(|| {
            let first = store.next_sequence();
            let entries = (first..first + 256).map(|n| (n, vec![0x11; 300])).collect();
            store.commit(&Batch { entries, ..Batch::default() }).expect("a commit");
        });
    });
}

fn secrets(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path());
    let puts = (0..1000).map(|n| (format!("share/{n}"), Secret::new(vec![0x22; 4096])));
    store.commit(&Batch { puts: puts.collect(), ..Batch::default() }).expect("a commit");
    c.bench_function("secrets/read-and-open-1000-of-4KiB", |b| {
        b.iter(|| black_box(store.secrets().expect("the secrets")));
    });
}

fn seals(c: &mut Criterion) {
    let passphrase = || Secret::new("correct horse battery staple".to_owned());
    let bounds = Bounds { node: NODE, scratch: Path::new("."), test_home: false };
    let with = SealWith::Passphrase { passphrase: passphrase(), cost: PassphraseCost::STANDARD };
    let sealed = Wrapped::wrap(&with, bounds, &Secret::new([7; 32])).expect("a seal");
    let mut group = c.benchmark_group("seal");
    group.sample_size(10);
    group.bench_function("open-passphrase-standard-cost", |b| {
        b.iter(|| black_box(sealed.unwrap_key(Some(&passphrase()), bounds).expect("the key")));
    });
    group.finish();
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frames");
    for payload in [200usize, 64 * 1024] {
        let length = u32::try_from(payload + 1).expect("a length").to_be_bytes();
        let frame = [&length[..], &[6], &vec![0x33; payload]].concat();
        group.throughput(Throughput::Bytes(u64::try_from(frame.len()).expect("a length")));
        group.bench_function(format!("read-and-write-{payload}-bytes"), |b| {
            b.iter(|| node::fuzz::fuzz_frames(black_box(&frame)));
        });
    }
    group.finish();
}

criterion_group!(benches, commits, secrets, seals, frames);
criterion_main!(benches);
