//! Charters.
