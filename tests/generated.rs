//! The shipped files that are not written by hand are current.
//!
//! Two need other programs, and are compared where the tests already run them: the picture of the overview (`dashboards::scale`)
//! and the manifests (`chart::manifests`).

#[test]
fn generated_files_are_current() {
    generate::assert_current(&generate::files());
}
