//! Clusters under faults, a few seeds in every test run; `cargo xtask sim --seeds N` runs as many as asked.

/// Goal: the same seed is the same run. Method: every frame, record and warning is hashed along the way.
#[test]
fn a_seed_replays_byte_for_byte() {
    for seed in [7, 8] {
        assert_eq!(sim::run_seed(seed), sim::run_seed(seed), "seed {seed}");
    }
}

/// Goal: K2, K3 and one outcome per request under loss, delay, reordering, duplication, partition, crash and restart.
#[test]
fn clusters_keep_the_invariants_under_faults() {
    for seed in 0..20 {
        sim::run_seed(seed);
    }
}
