"$CNETC" --emit=ir files/undefined.onnx
