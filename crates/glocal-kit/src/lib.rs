//! Data sets, preprocessing, the reference store, pictures and reports for Glocal.
