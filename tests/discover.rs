//! The discovery of the images in use: every report format, and the program on a cluster of this test over real sockets.

mod access;
mod cases;
mod cluster;
mod faults;
mod forms;
mod memory;
mod samples;
mod values;
