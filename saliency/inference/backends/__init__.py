"""Who computes a model's maps: PyTorch, OpenVINO or ONNX Runtime, behind one interface."""
