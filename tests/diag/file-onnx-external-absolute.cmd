"$CNETC" --emit=ir files/absolute.onnx
