"$CNETC" --emit=ir files/relu.onnx --box=files/boxes.json:god
