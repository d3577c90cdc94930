"$CNETC" --emit=ir files/lying.onnx
