"$CNETC" --emit=ir files/few-bytes.bin
