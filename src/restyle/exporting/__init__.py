"""Models as graphs of ONNX: written, and run without PyTorch's kernels."""
