//! The command line of Glocal.

fn main() {}
