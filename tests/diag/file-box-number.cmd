"$CNETC" --emit=ir files/relu.onnx --box=0:1,0:1,0:1
