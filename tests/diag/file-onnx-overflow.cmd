"$CNETC" --emit=ir files/overflow.onnx
