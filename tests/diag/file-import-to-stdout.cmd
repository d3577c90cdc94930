"$CNETC" import files/relu.onnx -o -
