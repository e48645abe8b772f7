//! Concept Relevance Propagation and Relevance Maximization for ONNX models.
