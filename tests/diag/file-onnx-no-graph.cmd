"$CNETC" --emit=ir files/no-graph.onnx
