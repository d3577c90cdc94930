"$CNETC" --emit=ir files/overlap-safetensors.cnet
