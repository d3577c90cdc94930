"$CNETC" --emit=ir files/folder.onnx
