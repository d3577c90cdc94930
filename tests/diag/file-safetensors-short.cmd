"$CNETC" --emit=ir files/short-safetensors.cnet
