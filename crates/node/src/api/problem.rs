//! Refusals as HTTP answers: the class chooses the status, the body is [`model::api::Problem`].

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::{Class, Problem, refuse};

/// A refusal on its way out.
#[derive(Debug)]
pub struct ApiError(pub Problem);

/// Goes with the answer to where it is counted: the refusal's name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused(pub(super) &'static str);

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<chains::Refusal> for ApiError {
    fn from(refusal: chains::Refusal) -> Self {
        Self(refusal.into())
    }
}

/// HTTP status of a refusal.
pub fn status(problem: &Problem) -> StatusCode {
    match (problem.code, problem.class) {
        ("unauthorized" | "unknown_credential", _) => StatusCode::UNAUTHORIZED,
        ("too_large", _) => StatusCode::PAYLOAD_TOO_LARGE,
        ("slow_body", _) => StatusCode::REQUEST_TIMEOUT,
        ("wrong_method", _) => StatusCode::METHOD_NOT_ALLOWED,
        (_, Class::Refused) => StatusCode::BAD_REQUEST,
        (_, Class::NotFound) => StatusCode::NOT_FOUND,
        (_, Class::Forbidden) => StatusCode::FORBIDDEN,
        (_, Class::Conflict) => StatusCode::CONFLICT,
        (_, Class::Overloaded) => StatusCode::TOO_MANY_REQUESTS,
        (_, Class::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
        (_, Class::Bug) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = status(&self.0);
        let retry_secs = self.0.retry_ms.unwrap_or(1_000).div_ceil(1_000).max(1);
        let body = Json(self.0.to_api());
        let mut response = match status {
            StatusCode::TOO_MANY_REQUESTS => {
                (status, [(header::RETRY_AFTER, retry_secs.to_string())], body).into_response()
            }
            StatusCode::UNAUTHORIZED => {
                (status, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
            }
            _ => (status, body).into_response(),
        };
        response.extensions_mut().insert(Refused(self.0.code));
        response
    }
}

/// No credential, or one that is none.
pub fn unauthorized() -> Problem {
    refuse(Class::Forbidden, "unauthorized", "a credential is missing").hint(
        "send `Authorization: Bearer TOKEN`; the operator's is in operator.token of the node's \
         directory, `outlast client add` makes one for a program",
    )
}

/// The node waits for its passphrase.
pub fn sealed() -> Problem {
    refuse(Class::Unavailable, "sealed", "the node is sealed")
        .hint("`outlast node unseal` opens it with its passphrase")
}

/// No answer in time.
pub fn timed_out() -> Problem {
    refuse(Class::Unavailable, "timed_out", "no answer in time; what was asked may still happen")
        .hint("ask for its state, or send the same request with the same idempotency key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_status() {
        for (class, code, expected) in [
            (Class::Refused, "fee_over_ceiling", 400),
            (Class::Refused, "too_large", 413),
            (Class::NotFound, "unknown_vault", 404),
            (Class::Forbidden, "unauthorized", 401),
            (Class::Forbidden, "operator_only", 403),
            (Class::Conflict, "rival", 409),
            (Class::Overloaded, "overloaded", 429),
            (Class::Unavailable, "sealed", 503),
            (Class::Bug, "bug", 500),
        ] {
            assert_eq!(status(&refuse(class, code, "")).as_u16(), expected, "{code}");
        }
        let shed = ApiError(refuse(Class::Overloaded, "overloaded", "")).into_response();
        assert_eq!(shed.headers()["retry-after"], "1");
        let full = refuse(Class::Overloaded, "vault_open_max", "").retry_after_ms(9_001);
        assert_eq!(full.hint.as_deref(), Some("try again in 10 s"));
        assert_eq!(ApiError(full).into_response().headers()["retry-after"], "10");
    }
}
