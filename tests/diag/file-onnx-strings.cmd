"$CNETC" --emit=ir files/strings.onnx
