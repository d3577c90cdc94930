"$CNETC" --emit=ir files/domain.onnx
