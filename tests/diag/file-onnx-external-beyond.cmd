"$CNETC" --emit=ir files/beyond.onnx
