//! `outlast version`

use crate::context::Context;
use crate::error::CommandError;

/// Version of the build.
pub(crate) const SHORT: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(ctx: &Context) -> Result<(), CommandError> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let value = serde_json::json!({
        "name": "outlast", "version": SHORT, "profile": profile,
        "audited": false, "real_money": false,
    });
    let text = format!(
        "outlast {SHORT} ({profile} build)\nnot audited yet: test vaults only, no real money until \
         SECURITY.md says so"
    );
    ctx.say(&value, &text)
}
