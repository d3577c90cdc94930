"$CNETC" --emit=ir files/long-header-safetensors.cnet
