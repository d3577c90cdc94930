"$CNETC" --emit=ir files/negative.onnx
