"$CNETC" --emit=ir files/relu.onnx --box=1:0
