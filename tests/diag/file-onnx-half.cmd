"$CNETC" --emit=ir files/half.onnx
