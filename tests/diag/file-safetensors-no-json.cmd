"$CNETC" --emit=ir files/no-json-safetensors.cnet
