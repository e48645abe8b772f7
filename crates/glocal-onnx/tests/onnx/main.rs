//! Tests of the crate from outside: real files, damaged files and files built for one case.

mod external;
mod goldens;
mod hostile;
mod model;
mod support;
