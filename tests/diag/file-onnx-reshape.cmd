"$CNETC" --emit=ir files/reshape.onnx
