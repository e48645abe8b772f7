//! Evaluations of small models, against running all of the model again.
