"$CNETC" --emit=ir files/overflow-safetensors.cnet
