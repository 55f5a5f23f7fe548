//! The one integration-test binary: everything runs over real sockets against the lab.

mod check;
mod lab;
mod report;
