"$CNETC" --emit=ir files/symbolic.onnx
