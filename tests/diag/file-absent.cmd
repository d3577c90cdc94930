"$CNETC" --emit=ir files/nothing-here.onnx
