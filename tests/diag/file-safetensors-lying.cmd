"$CNETC" --emit=ir files/lying-safetensors.cnet
