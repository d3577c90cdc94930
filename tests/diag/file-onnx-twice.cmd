"$CNETC" --emit=ir files/twice.onnx
