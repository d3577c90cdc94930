"$CNETC" --emit=ir files/relu.onnx --box=zero:one
