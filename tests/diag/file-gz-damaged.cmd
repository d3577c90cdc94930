"$CNETC" --emit=ir files/damaged.onnx.gz
