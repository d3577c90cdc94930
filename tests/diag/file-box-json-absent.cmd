"$CNETC" --emit=ir files/relu.onnx --box=files/no-boxes.json:good
