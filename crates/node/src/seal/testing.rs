//! A software TPM for tests, and how a test says that it could not prove anything here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SHARED: &str = "OUTLAST_TEST_SHARED_FILE";

/// Says on the log of the run that a test could not prove anything here.
pub(crate) fn skip(what: &str, why: &str) {
    println!("SKIPPED {what}: {why}");
}

pub(crate) fn installed(tool: &str) -> bool {
    let mut probe = Command::new(tool);
    probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok()
}

/// A software TPM, where it and the tools that speak to it are installed.
pub(crate) fn software_tpm() -> Option<SoftwareTpm> {
    for (tool, package) in [("swtpm", "swtpm"), ("tpm2_unseal", "tpm2-tools")] {
        if !installed(tool) {
            skip("tpm2", &format!("{package} not installed"));
            return None;
        }
    }
    Some(SoftwareTpm::start())
}

/// A software TPM of this test's own; the environment variable names it for the child below.
pub(crate) struct SoftwareTpm {
    process: std::process::Child,
    pub tcti: String,
    _state: tempfile::TempDir,
}

impl SoftwareTpm {
    pub(crate) fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let socket = state.path().join("tpm");
        let control = state.path().join("tpm.ctrl");
        let path = |kind: &str, p: &Path| format!("type=unixio,{kind}={}", p.display());
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", state.path().display())])
            .args(["--server", &path("path", &socket), "--ctrl", &path("path", &control)])
            // It reports every client that leaves.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !(socket.exists() && control.exists()) {
            assert!(start.elapsed() < Duration::from_secs(60), "swtpm does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let tcti = format!("swtpm:path={}", socket.display());
        Self { process, tcti, _state: state }
    }

    /// Runs an ignored test against this TPM, with a file to share, until it says `word`; in a process of its own, so that the
    /// variable does not leak into other tests.
    pub(crate) fn run_child(&self, test: &str, shared: &Path, word: &str) {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture"])
            .env("TPM2TOOLS_TCTI", &self.tcti)
            .env(SHARED, shared)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains(word), "{text}\n{errors}");
    }

    /// In such a child: the shared file. None where somebody runs the ignored tests by hand.
    pub(crate) fn in_child() -> Option<PathBuf> {
        std::env::var_os(SHARED).map(PathBuf::from)
    }
}

impl Drop for SoftwareTpm {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
