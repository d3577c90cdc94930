"$CNETC" --emit=ir files/truncated-safetensors.cnet
