"$CNETC" --emit=ir files/conv.onnx
