//! A private registry on loopback.
