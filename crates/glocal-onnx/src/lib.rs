//! Reads ONNX files into plain structs.
