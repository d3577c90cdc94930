"$CNETC" --emit=ir files/absent.onnx
