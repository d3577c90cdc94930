"$CNETC" --emit=ir files/backwards-safetensors.cnet
