//! Tracing to standard error. No secret, token, URL or request body is ever a field.

use tracing_subscriber::EnvFilter;

/// Sets the process's log up, once. `RUST_LOG` beats `level`; a bad filter falls back to `info`.
pub fn start(level: Option<&str>, json: bool) {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(level.unwrap_or("info")))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails when a log is set up already (tests, several nodes in one process): that one stays.
    let _already =
        if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}
