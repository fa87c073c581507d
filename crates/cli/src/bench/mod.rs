//! Measurements on a real local cluster: separate node processes, TLS between them, a durable journal.
//!
//! The limit of a run is what the same processor could do with the bare protocol alone, measured in this process just
//! before: cores divided by CPU seconds per signature. Absent on purpose: any figure that was not measured here.

pub(crate) mod figures;
pub(crate) mod load;
pub(crate) mod process;

use crate::cluster::{Cluster, Plan};
use crate::error::CommandError;
use std::path::PathBuf;

/// A cluster in a directory that disappears with it.
pub(crate) struct BenchCluster {
    /// The nodes; stopped before the directory goes.
    cluster: Option<Cluster>,
    dir: PathBuf,
}

impl BenchCluster {
    /// Starts `nodes` nodes that trust one another and can sign.
    pub(crate) fn start(nodes: u16) -> Result<Self, CommandError> {
        crate::signals::watch()?;
        let dir = std::env::temp_dir().join(format!("outlast-bench-{}", std::process::id()));
        let operators = (1..=nodes).map(|at| format!("Bench {at}")).collect();
        let plan = Plan { dir: dir.clone(), operators, auto_join: true, chains: Vec::new() };
        let mut started = Self { cluster: None, dir };
        let cluster = Cluster::start(&plan);
        started.cluster = Some(cluster?);
        let cluster = started.nodes()?;
        cluster.unseal()?;
        cluster.meet()?;
        cluster.wait_ready()?;
        Ok(started)
    }

    /// The running nodes.
    pub(crate) fn nodes(&self) -> Result<&Cluster, CommandError> {
        self.cluster.as_ref().ok_or_else(|| CommandError::bug("the cluster is gone"))
    }
}

impl Drop for BenchCluster {
    fn drop(&mut self) {
        self.cluster = None;
        // A fault here leaves files in the temporary directory and nothing worse.
        let _ = crate::demo::clean(&self.dir);
    }
}
