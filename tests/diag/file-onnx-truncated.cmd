"$CNETC" --emit=ir files/truncated.onnx
