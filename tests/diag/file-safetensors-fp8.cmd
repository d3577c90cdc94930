"$CNETC" --emit=ir files/fp8-safetensors.cnet
