"$CNETC" --emit=ir files/shapes.onnx
