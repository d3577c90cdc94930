"$CNETC" --emit=ir files/broadcast.onnx
