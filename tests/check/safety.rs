//! Where nothing may go: credentials, tokens and connections.
