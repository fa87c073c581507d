//! The words of Outlast: ids, time, limits, secrets, canonical bytes, curves, access trees, keys and intents.
//!
//! Every other room speaks in these types. The room is pure: no clock, no operating-system randomness,
//! no files, no sockets. What is hashed or signed goes through [`wire`]; JSON lives in [`api`] and is never signed.

pub mod access;
pub mod act;
pub mod amount;
pub mod api;
pub mod card;
pub mod charter;
pub mod commitment;
pub mod curve;
pub mod entropy;
pub mod hash;
pub mod hd;
pub mod ids;
pub mod intent;
pub mod keys;
pub mod leaf;
pub mod limits;
pub mod request;
pub mod secret;
pub mod signing;
pub mod time;
pub mod wire;
pub mod words;
