"$CNETC" --emit=ir files/escape.onnx
