"$CNETC" --emit=ir files/bomb.onnx.gz
