"$CNETC" --emit=ir files/deep-safetensors.cnet
