//! Policy by level: rows that people write, Cedar that is generated from them and shown, one outcome per request.
