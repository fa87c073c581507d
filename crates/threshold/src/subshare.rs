//! Sealed sub-shares: what a dealer sends to one receiver, inside the signed broadcast.
