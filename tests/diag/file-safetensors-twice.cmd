"$CNETC" --emit=ir files/twice-safetensors.cnet
