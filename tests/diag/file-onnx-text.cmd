"$CNETC" --emit=ir files/text.onnx
