"$CNETC" --emit=ir files/empty.onnx
